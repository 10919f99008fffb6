"""The contracts that an adapter fulfils, under the roof where adapters are looked for; see `data.storage`."""

from library.infrastructure.data.storage import ConversationStore, DatabaseAdapter, default_adapter

__all__ = ["ConversationStore", "DatabaseAdapter", "default_adapter"]
