"""English words that tell nothing about what is looked for, unless they are all that is asked for."""

from __future__ import annotations

from typing import Final

_PLAIN: Final = """
a about above after again against all almost also although always am among an and another any anybody anyone
anything are around as at away
be became because become been before being below between both but by
came can cannot could
did do does doing done down during
each either else enough etc even ever every everybody everyone everything
few for from further
get gets getting give gives go goes going gone got
had has have having he hence her here hers herself him himself his how however
i if in indeed instead into is it its itself
just
kind
less let like
many may maybe me might mine more most much must my myself
neither never no nobody none nor not nothing now
of off often on once one only onto or other others otherwise our ours ourselves out over own
per perhaps
quite
rather really regarding
same shall she should since so some somebody someone something somewhat still such
than that the their theirs them themselves then there therefore these they thing things this those though
through throughout thus to together too toward towards
under unless until up upon us
various very via
was way we well went were what whatever when whenever where wherever whether which whichever while who whoever
whole whom whose why will with within without would
yes yet you your yours yourself yourselves
"""
_CONTRACTED: Final = """
ain't aren't can't couldn't could've didn't doesn't don't hadn't hasn't haven't he'd he'll he's here's how'd
how'll how's i'd i'll i'm i've isn't it'd it'll it's let's ma'am mightn't might've mustn't must've needn't
shan't she'd she'll she's shouldn't should've that'd that'll that's there'd there'll there's they'd they'll
they're they've wasn't we'd we'll we're we've weren't what'd what'll what're what's what've when's where'd
where's who'd who'll who're who's who've why'd why's won't wouldn't would've y'all you'd you'll you're you've
"""

STOP_WORDS: Final = frozenset(_PLAIN.split())
"""Function words, question words and auxiliaries, folded."""

CONTRACTIONS: Final = frozenset(_CONTRACTED.split())
"""Stop words that are written with an apostrophe, as whole forms."""
