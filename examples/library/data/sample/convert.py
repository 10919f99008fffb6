"""Makes the sample from the original data sets: `python convert.py FOLDER_OF_ORIGINALS`.

FOLDER_OF_ORIGINALS holds these files, from the commits that README.md names:

    val.json              CrossWOZ, `data/crosswoz/val.json.zip`, unpacked
    question.jsonl        FastChat, `fastchat/llm_judge/data/mt_bench/question.jsonl`
    gpt-4.jsonl           FastChat, `fastchat/llm_judge/data/mt_bench/reference_answer/gpt-4.jsonl`
    en_100_tree.jsonl     Open-Assistant, `model/model_eval/manual/data/en_100_tree.jsonl`
    data_00.json          Taskmaster, `TM-4-2024/data/data_00.json`

The same originals always give the same sample. Every text stays exactly as it is.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CROSSWOZ_COUNT = 150
TASKMASTER_COUNT = 200


def conversation(
    source: str, own_id: object, language: str, exchanges: list[dict[str, str]]
) -> dict[str, Any]:
    """Return one conversation in the form of the sample."""
    return {
        "conversation_id": f"{source}/{own_id}",
        "source": source,
        "language": language,
        "exchanges": exchanges,
    }


def pair(texts: list[str]) -> list[dict[str, str]]:
    """Make exchanges of texts of which every second one is the agent's; a last question without one goes."""
    return [
        {"user_input": user, "agent_response": agent}
        for user, agent in zip(texts[::2], texts[1::2], strict=False)
    ]


def crosswoz(originals: Path) -> Iterator[dict[str, Any]]:
    """Take the first dialogues, in which user and system take turns, the user first."""
    dialogues = json.loads((originals / "val.json").read_text(encoding="utf-8"))
    for own_id in list(dialogues)[:CROSSWOZ_COUNT]:
        texts = [message["content"] for message in dialogues[own_id]["messages"]]
        yield conversation("crosswoz", own_id, "zh", pair(texts))


def mt_bench(originals: Path) -> Iterator[dict[str, Any]]:
    """Take the questions of two turns that have a reference answer, which GPT-4 gave at a known time."""
    questions = {each["question_id"]: each["turns"] for each in read_lines(originals / "question.jsonl")}
    for answer in read_lines(originals / "gpt-4.jsonl"):
        own_id, answers = answer["question_id"], answer["choices"][0]["turns"]
        timestamp = datetime.fromtimestamp(answer["tstamp"], UTC).isoformat()
        exchanges = [
            {"user_input": user, "agent_response": agent, "timestamp": timestamp}
            for user, agent in zip(questions[own_id], answers, strict=True)
        ]
        yield conversation("mt-bench", own_id, "en", exchanges)


def oasst(originals: Path) -> Iterator[dict[str, Any]]:
    """Take from each tree that people wrote the path of the replies that they ranked best."""
    for tree in read_lines(originals / "en_100_tree.jsonl"):
        message = tree["prompt"]
        texts = []
        while message is not None and not message["synthetic"]:
            texts.append(message["text"])
            written = [reply for reply in message["replies"] if not reply["synthetic"]]
            # Only an assistant's replies are ranked; of a user's the first one counts.
            message = min(written, key=lambda reply: reply.get("rank") or 0, default=None)
        if len(texts) > 1:
            yield conversation("oasst", tree["message_tree_id"], "en", pair(texts))


def taskmaster(originals: Path) -> Iterator[dict[str, Any]]:
    """Take the first dialogs in which each utterance of the customer has an answer."""
    dialogs = json.loads((originals / "data_00.json").read_text(encoding="utf-8"))
    answered = [each for each in dialogs if len(each["utterances"]) % 2 == 0]
    for dialog in answered[:TASKMASTER_COUNT]:
        texts = [utterance["text"] for utterance in dialog["utterances"]]
        yield conversation("taskmaster-4", dialog["conversation_id"], "en", pair(texts))


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Read a file of JSON Lines."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def write(name: str, conversations: Iterable[dict[str, Any]]) -> None:
    """Write one source, beside this script."""
    lines = [json.dumps(each, ensure_ascii=False, separators=(",", ":")) for each in conversations]
    path = Path(__file__).parent / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    print(f"{path.name}: {len(lines)} conversations, {path.stat().st_size:,} bytes")


def main() -> None:
    """Convert all sources."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    originals = Path(sys.argv[1])
    write("crosswoz.jsonl", crosswoz(originals))
    write("mt-bench.jsonl", mt_bench(originals))
    write("oasst.jsonl", oasst(originals))
    write("taskmaster-4.jsonl", taskmaster(originals))


if __name__ == "__main__":
    main()
