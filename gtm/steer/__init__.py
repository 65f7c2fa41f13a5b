"""Verdicts and places in, decisions out: who gets which members, in which shares, and for how long.

`audience` and `geo` say which clients are told apart (at reload only), `tiers` which pool serves an audience now,
`ring` in which shares, `ttl` for how long, and `explain` why.
"""
