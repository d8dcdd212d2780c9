#!/usr/bin/env python3
"""What regions outside a fence are shown: of keyspaces with `outside: forward` all, of the others of that fence nothing."""
import redis

import support

KEYSPACES = """
fences:
  gdpr: [eu-de, jp-tok]
keyspaces:
  - { prefix: "" }
  - { prefix: "shut:", fence: gdpr }
  - { prefix: "one:", fence: gdpr, mode: primary, writer: eu-de }
  - { prefix: "open:", fence: gdpr, outside: forward, ack_timeout: 5s }
  - { prefix: "ask:", fence: gdpr, outside: forward, mode: primary, writer: eu-de, ack_timeout: 5s }
"""
SECRET = "what-stays-within"

# S a key of the fence that is shown to its members only, O one that is shown to all; each of the type that its command takes
MIXED = """
MGET O.str S.str
MSETNX O.new 1 S.new 1
MSET O.new 1 S.new 1
EXISTS O.str S.str
TOUCH O.str S.str
DEL O.none S.none
UNLINK O.none S.none
LCS O.str S.str
SUNION O.set S.set
SINTER O.set S.set
SINTERCARD 2 O.set S.set
SDIFF S.set O.set
SUNIONSTORE O.to O.set S.set
SMOVE S.set O.set x
ZUNION 2 O.zset S.zset
ZINTERCARD 2 O.zset S.zset
ZDIFF 2 S.zset O.zset
ZUNIONSTORE O.to 2 O.zset S.zset
ZRANGESTORE O.to S.zset 0 -1
PFCOUNT O.hll S.hll
PFMERGE O.to S.hll
BITOP OR O.to O.str S.str
COPY S.str O.to
RENAME S.str O.to
RENAMENX S.str O.to
LMOVE S.list O.list LEFT LEFT
RPOPLPUSH S.list O.list
BLPOP O.none S.list 1
BLMOVE S.list O.list LEFT LEFT 1
LMPOP 2 O.none S.list LEFT
ZMPOP 2 O.none S.zset MIN
XREAD STREAMS O.stream S.stream 0 0
GEOSEARCHSTORE O.to S.geo FROMLONLAT 1 1 BYRADIUS 9 km
GEORADIUS S.geo 1 1 9 km STORE O.to
SORT O.list BY nosort GET S.*
SORT O.list BY S.*
SORT O.list BY nosort GET S.* STORE O.to
SORT_RO O.list BY nosort GET S.*
SORT S.list STORE O.to
WATCH O.str S.str
""".strip().splitlines()
ALONE = ["GET S.str", "SET S.str 1", "OBJECT ENCODING S.str", "DUMP S.str", "TYPE S.str", "MEMORY USAGE S.str", "LRANGE S.list 0 -1", "INCR S.none"]


def world_of(regions=3):
    world = support.World(regions=regions, extra=KEYSPACES)
    world.wait_linked()
    return world


def fill(client, prefix):
    client.set(prefix + "str", SECRET)
    client.set(prefix + "0", SECRET)
    client.sadd(prefix + "set", SECRET, "x")
    client.zadd(prefix + "zset", {SECRET: 1})
    client.rpush(prefix + "list", 0, 1)
    client.pfadd(prefix + "hll", SECRET)
    client.xadd(prefix + "stream", {"f": SECRET})
    client.geoadd(prefix + "geo", (1, 1, SECRET))


def expect_fenced(ask, words):
    try:
        answer = ask(*words)
    except redis.ResponseError as error:
        assert str(error).startswith("FENCED"), (words, str(error))
        return
    raise AssertionError(f"{words} was answered {answer!r}")


def test_a_key_that_may_be_shown_opens_no_other():
    with world_of() as world:
        within, outside = world.client(1), world.client(0, single_connection_client=True)
        for prefix in ("shut:", "one:", "open:", "ask:"):
            fill(within, prefix)
        for shut in ("shut:", "one:"):
            for opened in ("open:", "ask:"):
                for line in MIXED + ALONE:
                    words = line.replace("S.", shut).replace("O.", opened).split()
                    expect_fenced(outside.execute_command, words)
                    if words[0] != "WATCH":
                        expect_fenced(outside.execute_command, ["WITH", "read=local", "--"] + words)
                swapped = [f"MGET {shut}str {opened}str", f"SUNION {shut}set {opened}set", f"EXISTS {shut}str {opened}str"]
                for line in swapped:
                    expect_fenced(outside.execute_command, line.split())
        # nothing came of it, and what may be shown is
        assert within.get("shut:str") == SECRET and within.lrange("shut:list", 0, -1) == ["0", "1"]
        assert outside.mget("open:str", "open:none") == [SECRET, None]
        assert outside.sort("open:list", by="nosort", get="open:*") == [SECRET, None]
        assert outside.execute_command("EXISTS", "open:to", "open:new", "ask:none") == 0
        status, out, err = support.run("audit", "--config", world.config, *(world.data_dir(i) for i in range(3)))
        assert status == 0, (out, err)


def test_any_member_answers_while_one_is_cut_off():
    with world_of() as world:
        outside = world.client(0, single_connection_client=True)
        outside.set("open:key", "1")
        for cut, other in ((1, 2), (2, 1)):
            world.cut(0, cut)
            support.wait_until(lambda: not world.links_up(), 20, "the link stays")
            assert outside.get("open:key") == "1"
            assert outside.incr("open:number") == cut and outside.get("open:number") == str(cut)
            world.heal(0, cut)
            world.wait_linked()
        for member in (1, 2):
            world.cut(0, member)
        support.wait_until(lambda: not world.links_up(), 20, "the links stay")
        for words, code in ((("GET", "open:key"), "STALE"), (("SET", "open:key", "2"), "NOWRITER")):
            def answer(words=words, code=code):
                try:
                    outside.execute_command(*words)
                except redis.ResponseError as error:
                    return str(error).startswith(code)
                return False
            support.wait_until(answer, 20, f"{words} is not {code}")


if __name__ == "__main__":
    support.main(globals())
