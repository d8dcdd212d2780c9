"""Random choices: of both servers, each a choice among what is there."""
from .replies import Error, Null, pairs

TYPES = {b"HRANDFIELD": "hash", b"ZRANDMEMBER": "zset"}         # of the others: "set"


def couples(reply):
    """Names with their values: in RESP3 an array of pairs, where it is no map."""
    return [tuple(item) for item in reply] if reply and isinstance(reply[0], list) else pairs(reply)


def contents(pair, command):
    """What there is to choose from."""
    if command[0] == b"RANDOMKEY" or len(command) < 2:
        return set(pair.clients[0].ask(b"KEYS", b"*"))
    if command[0] == b"HRANDFIELD":
        return set(pairs(pair.clients[0].ask(b"HGETALL", command[1])))
    if command[0] == b"ZRANDMEMBER":
        return set(couples(pair.clients[0].ask(b"ZRANGE", command[1], b"0", b"-1", b"WITHSCORES")))
    return set(pair.clients[0].ask(b"SMEMBERS", command[1]))


def chosen(command, reply):
    """The choices, in the form of what contents() gives, or None when they are not of that form."""
    if not isinstance(reply, list):
        return [reply]
    if command[0] not in TYPES or len(command) < 4:
        return list(reply)
    return couples(reply)


def check_random(pair, command):
    kind = pair.both(b"TYPE", command[1]) if len(command) > 1 else None
    right_type = kind is None or kind[0] in ("none", TYPES.get(command[0], "set"))
    there = contents(pair, command) if right_type else set()
    theirs, ours = pair.both(*command)
    plain = isinstance(theirs, (Error, Null)) or theirs == []
    if plain:
        pair.expect(type(theirs) is type(ours) and theirs == ours, command, theirs, ours)
        return
    pair.expect(type(theirs) is type(ours), command, theirs, ours)
    for reply in (theirs, ours):
        picks = chosen(command, reply)
        if command[0] in TYPES and len(command) < 4:
            there_now = {name for name, _ in there}
        else:
            there_now = there
        pair.expect(set(picks) <= there_now, command, theirs, ours)
        repeats = len(command) > 2 and command[2].startswith(b"-")
        pair.expect(repeats or len(set(picks)) == len(picks), command, theirs, ours)
        pair.expect(not isinstance(theirs, list) or len(theirs) == len(ours), command, theirs, ours)
    if command[0] == b"SPOP" and set(chosen(command, theirs)) != there:
        pair.both(b"SADD", command[1], *(chosen(command, theirs) + chosen(command, ours)))
