/*
 * Sorted sets as clients see them (cmd/trial.h), and ranges against a plain model.
 */
#include <math.h>

#include "base/prng.h"
#include "cmd/trial.h"
#include "cmd/zset_range.h"

#define NAN_ERROR "-ERR resulting score is not a number (NaN)"
#define NOT_RANGE "-ERR min or max is not a float"
#define NOT_NAMES "-ERR min or max not valid string range item"

/* --- writing and asking --- */

STEPS(members_and_scores, { "ZADD z 1 a 2 b", "2" }, { "ZADD z 3 a 4 c", "1" }, { "ZCARD z", "3" },
      { "ZSCORE z a", "\"3\"" }, { "ZSCORE z x", "nil" }, { "ZSCORE n x", "nil" },
      { "ZMSCORE z a x c", "[\"3\" nil \"4\"]" }, { "ZMSCORE n a b", "[nil nil]" },
      { "ZRANK z b", "0" }, { "ZRANK z c", "2" }, { "ZREVRANK z b", "2" }, { "ZRANK z x", "nil" },
      { "ZREVRANK n x", "nil" }, { "ZCARD n", "0" }, { "ZREM z a x a", "1" }, { "ZREM z x", "0" },
      { "ZREM n x", "0" }, { "ZREM z b c", "2" }, { "EXISTS z", "0" }, { "TYPE z", "none" },
      { "ZADD z 1 a 2 a 3 a", "1" }, { "ZSCORE z a", "\"3\"" }, { "TYPE z", "zset" },
      { "ZADD z 1", "-ERR wrong number of arguments for 'zadd' command" },
      { "ZADD z 1 a 2", SYNTAX }, { "ZADD z x a", NOT_FLOAT }, { "ZADD z 1 a x b", NOT_FLOAT },
      { "ZCARD z", "1" }, { "ZADD z nan a", NOT_FLOAT }, { "SET s v", "OK" },
      { "ZADD s 1 a", WRONG_TYPE }, { "ZADD s x a", NOT_FLOAT }, { "ZSCORE s a", WRONG_TYPE },
      { "ZMSCORE s a", WRONG_TYPE }, { "ZREM s a", WRONG_TYPE }, { "ZCARD s", WRONG_TYPE },
      { "ZRANK s a", WRONG_TYPE }, { "ZINCRBY s 1 a", WRONG_TYPE })

STEPS(scores_have_17_digits, { "ZADD z 0.1 a 1e20 b inf c -inf d 3.0 e 1.5e-3 f 1e16 g", "7" },
      { "ZRANGE z 0 -1 WITHSCORES",
        "[\"d\" \"-inf\" \"f\" \"0.0015\" \"a\" \"0.10000000000000001\" \"e\" \"3\" \"g\" "
        "\"10000000000000000\" \"b\" \"1e+20\" \"c\" \"inf\"]" },
      { "ZADD z -0 a", "0" }, { "ZSCORE z a", "\"0\"" })

STEPS(conditions, { "ZADD z XX 1 a", "0" }, { "EXISTS z", "0" }, { "ZADD z NX 1 a", "1" },
      { "ZADD z NX 2 a 5 b", "1" }, { "ZSCORE z a", "\"1\"" }, { "ZADD z XX CH 2 a 7 n", "1" },
      { "ZADD z GT CH 1 a", "0" }, { "ZADD z GT CH 9 a 1 c", "2" }, { "ZADD z LT CH 3 a 8 b", "1" },
      { "ZRANGE z 0 -1 WITHSCORES", "[\"c\" \"1\" \"a\" \"3\" \"b\" \"5\"]" },
      { "ZADD z XX GT 1 a 9 n", "0" }, { "ZADD z CH 3 a", "0" }, { "ZADD z CH 4 a 4 a 5 a", "2" },
      { "ZADD d CH 1 x 2 x", "2" }, { "ZADD d NX 3 x 1 y 2 y", "1" }, { "ZSCORE d y", "\"1\"" },
      { "ZADD d GT 1 v 3 v 2 v", "1" }, { "ZSCORE d v", "\"3\"" },
      { "ZADD d LT CH 9 v 2 v 1 v 5 v", "2" }, { "ZSCORE d v", "\"1\"" },
      { "ZADD z nx XX 1 a", "-ERR XX and NX options at the same time are not compatible" },
      { "ZADD z NX GT 1 a", "-ERR GT, LT, and/or NX options at the same time are not compatible" },
      { "ZADD z GT LT 1 a", "-ERR GT, LT, and/or NX options at the same time are not compatible" },
      { "ZADD z INCR 1 a 2 b", "-ERR INCR option supports a single increment-element pair" },
      { "ZADD z NX 1", SYNTAX }, { "ZADD z CH XX", SYNTAX })

STEPS(increments, { "ZINCRBY z 2.5 a", "\"2.5\"" }, { "ZINCRBY z -1 a", "\"1.5\"" },
      { "ZADD z INCR 2 a", "\"3.5\"" }, { "ZADD z NX INCR 2 a", "nil" },
      { "ZADD z XX INCR 2 n", "nil" }, { "ZADD z GT INCR -1 a", "nil" },
      { "ZADD z LT INCR -1 a", "\"2.5\"" }, { "ZADD z NX INCR 4 n", "\"4\"" },
      { "ZRANGE z 0 -1", "[\"a\" \"n\"]" }, { "ZINCRBY z 10 a", "\"12.5\"" },
      { "ZRANGE z 0 -1", "[\"n\" \"a\"]" }, { "ZINCRBY z inf a", "\"inf\"" },
      { "ZINCRBY z 5 a", "\"inf\"" }, { "ZINCRBY z -inf a", NAN_ERROR },
      { "ZADD z INCR -inf a", NAN_ERROR }, { "ZADD z NX INCR -inf a", "nil" },
      { "ZSCORE z a", "\"inf\"" }, { "ZADD z 1 a", "0" }, { "ZINCRBY z 1 a", "\"2\"" },
      { "ZINCRBY z 1.5e308 a", "\"1.5e+308\"" }, { "ZINCRBY z 1.5e308 a", "\"inf\"" },
      { "ZADD z 1e308 b", "1" }, { "ZINCRBY z -1e308 b", "\"0\"" }, { "ZINCRBY z 1 b", "\"1\"" },
      { "ZINCRBY z x a", NOT_FLOAT }, { "ZINCRBY z nx a", SYNTAX }, { "ZINCRBY e 0 m", "\"0\"" },
      { "ZCARD e", "1" }, { "ZINCRBY z nan a", NOT_FLOAT }, { "ZREM z a b n", "3" },
      { "EXISTS z", "0" })

STEPS(expired_sets_are_absent, { "ZADD z 1 a 2 b", "2" }, { "PEXPIRE z 10", "1" }, { "@11", "" },
      { "ZCARD z", "0" }, { "ZRANGE z 0 -1", "[]" }, { "ZADD z XX 5 a", "0" },
      { "ZINCRBY z 1 a", "\"1\"" }, { "ZRANGE z 0 -1", "[\"a\"]" }, { "TTL z", "-1" },
      { "ZADD y 1 a", "1" }, { "EXPIRE y 100", "1" }, { "ZREM y a", "1" }, { "ZADD y 1 b", "1" },
      { "TTL y", "-1" }, { "EXPIRE y 100", "1" }, { "ZADD y 2 c", "1" }, { "TTL y", "100" })

/* --- ranges --- */

STEPS(ranges_by_rank, { "ZADD z 1 a 2 b 3 c 4 d", "4" },
      { "ZRANGE z 0 -1", "[\"a\" \"b\" \"c\" \"d\"]" }, { "ZRANGE z 1 2", "[\"b\" \"c\"]" },
      { "ZRANGE z -2 100", "[\"c\" \"d\"]" }, { "ZRANGE z 2 1", "[]" }, { "ZRANGE z 4 9", "[]" },
      { "ZRANGE z -100 0", "[\"a\"]" }, { "ZRANGE z -100 -50", "[]" },
      { "ZRANGE z -9223372036854775808 9223372036854775807", "[\"a\" \"b\" \"c\" \"d\"]" },
      { "ZREVRANGE z 0 1", "[\"d\" \"c\"]" }, { "ZRANGE z 0 1 REV", "[\"d\" \"c\"]" },
      { "ZREVRANGE z -1 -1 WITHSCORES", "[\"a\" \"1\"]" },
      { "ZRANGE z 0 0 rev withscores", "[\"d\" \"4\"]" }, { "ZRANGE n 0 -1", "[]" },
      { "ZRANGE z x 1", NOT_INTEGER }, { "ZRANGE z 0 1.5", NOT_INTEGER },
      { "ZRANGE n x 1", NOT_INTEGER }, { "ZRANGE z 0 1 BAD", SYNTAX },
      { "ZREVRANGE z 0 1 REV", SYNTAX }, { "ZREVRANGE z 0 1 BYSCORE", SYNTAX },
      { "ZRANGE z 0 1 REV REV", SYNTAX },
      { "ZRANGE z 0 1 LIMIT 0 1",
        "-ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX" },
      { "ZRANGE z 0 1 LIMIT 1 -1", "[\"a\" \"b\"]" }, { "ZRANGE z 0 1 LIMIT 1", SYNTAX },
      { "ZRANGE z 0 1 LIMIT x 1", NOT_INTEGER }, { "SET s v", "OK" },
      { "ZRANGE s 0 1", WRONG_TYPE })

STEPS(ranges_by_score, { "ZADD z -inf a 1 b 1 c 2.5 d inf e", "5" },
      { "ZRANGEBYSCORE z 1 2.5", "[\"b\" \"c\" \"d\"]" }, { "ZRANGEBYSCORE z (1 (inf", "[\"d\"]" },
      { "ZRANGEBYSCORE z (-inf inf", "[\"b\" \"c\" \"d\" \"e\"]" },
      { "ZRANGEBYSCORE z -inf (-inf", "[]" }, { "ZRANGEBYSCORE z inf +inf", "[\"e\"]" },
      { "ZRANGEBYSCORE z (inf inf", "[]" }, { "ZRANGEBYSCORE z 2 1", "[]" },
      { "ZREVRANGEBYSCORE z 2.5 1", "[\"d\" \"c\" \"b\"]" }, { "ZREVRANGEBYSCORE z 1 2.5", "[]" },
      { "ZRANGE z 1 1 BYSCORE", "[\"b\" \"c\"]" },
      { "ZRANGE z +inf -inf BYSCORE REV LIMIT 1 2", "[\"d\" \"c\"]" },
      { "ZRANGEBYSCORE z -inf +inf LIMIT 1 2", "[\"b\" \"c\"]" },
      { "ZRANGEBYSCORE z -inf +inf LIMIT 4 -1", "[\"e\"]" },
      { "ZRANGEBYSCORE z -inf +inf LIMIT 5 1", "[]" },
      { "ZRANGEBYSCORE z -inf +inf LIMIT -1 2", "[]" },
      { "ZRANGEBYSCORE z -inf +inf LIMIT 1 0", "[]" },
      { "ZRANGEBYSCORE z -inf +inf LIMIT 9223372036854775807 9223372036854775807", "[]" },
      { "ZRANGEBYSCORE z 1 1 WITHSCORES LIMIT 1 1", "[\"c\" \"1\"]" },
      { "ZRANGEBYSCORE z 1 1 LIMIT 1 1 WITHSCORES", "[\"c\" \"1\"]" },
      { "ZRANGEBYSCORE z 1 x", NOT_RANGE }, { "ZRANGEBYSCORE z ((1 2", NOT_RANGE },
      { "ZRANGEBYSCORE z nan 2", NOT_RANGE },
      { "ZRANGEBYSCORE z 0x1 \" 2.5\"", "[\"b\" \"c\" \"d\"]" },
      { "ZRANGEBYSCORE z \"\" \"(\"", "[]" }, { "ZRANGEBYSCORE n 1 x", NOT_RANGE },
      { "ZRANGEBYSCORE n 1 2", "[]" }, { "ZRANGEBYSCORE z 1 2 BYSCORE", SYNTAX },
      { "ZRANGE z 1 2 BYSCORE BYLEX", SYNTAX }, { "ZCOUNT z 1 2.5", "3" },
      { "ZCOUNT z (1 (2.5", "0" }, { "ZCOUNT z -inf +inf", "5" }, { "ZCOUNT n 1 2", "0" },
      { "ZCOUNT z 1 x", NOT_RANGE }, { "SET s v", "OK" }, { "ZCOUNT s 1 2", WRONG_TYPE },
      { "ZRANGEBYSCORE s 1 2", WRONG_TYPE }, { "ZCOUNT s 1 x", NOT_RANGE })

STEPS(ranges_by_name, { "ZADD z 0 a 0 b 0 c 0 d", "4" },
      { "ZRANGEBYLEX z - +", "[\"a\" \"b\" \"c\" \"d\"]" }, { "ZRANGEBYLEX z + -", "[]" },
      { "ZRANGEBYLEX z [b (d", "[\"b\" \"c\"]" }, { "ZRANGEBYLEX z (b [d", "[\"c\" \"d\"]" },
      { "ZRANGEBYLEX z [bb +", "[\"c\" \"d\"]" }, { "ZRANGEBYLEX z - [", "[]" },
      { "ZREVRANGEBYLEX z [c -", "[\"c\" \"b\" \"a\"]" },
      { "ZREVRANGEBYLEX z + - LIMIT 1 2", "[\"c\" \"b\"]" },
      { "ZRANGE z [b + BYLEX LIMIT 1 1", "[\"c\"]" },
      { "ZRANGE z + [b REV BYLEX", "[\"d\" \"c\" \"b\"]" }, { "ZRANGEBYLEX z b +", NOT_NAMES },
      { "ZRANGEBYLEX z -x +", NOT_NAMES }, { "ZRANGEBYLEX z \"\" +", NOT_NAMES },
      { "ZRANGEBYLEX n b +", NOT_NAMES },
      { "ZRANGEBYLEX z - + WITHSCORES",
        "-ERR syntax error, WITHSCORES not supported in combination with BYLEX" },
      { "ZLEXCOUNT z [a (c", "2" }, { "ZLEXCOUNT z - +", "4" }, { "ZLEXCOUNT z + -", "0" },
      { "ZLEXCOUNT n - +", "0" }, { "ZLEXCOUNT z a +", NOT_NAMES },
      { "ZREMRANGEBYLEX z (a [c", "2" }, { "ZRANGE z 0 -1", "[\"a\" \"d\"]" },
      { "ZADD z 5 e", "1" }, { "ZRANGEBYLEX z - +", "[\"a\" \"d\" \"e\"]" })

STEPS(removing_ranges, { "ZADD z 1 a 2 b 3 c 4 d 5 e 6 f", "6" }, { "ZREMRANGEBYRANK z 0 0", "1" },
      { "ZREMRANGEBYRANK z -1 -1", "1" }, { "ZREMRANGEBYRANK z 5 9", "0" },
      { "ZREMRANGEBYSCORE z (2 3", "1" }, { "ZREMRANGEBYSCORE z 7 9", "0" },
      { "ZRANGE z 0 -1", "[\"b\" \"d\" \"e\"]" }, { "ZREMRANGEBYSCORE z -inf +inf", "3" },
      { "EXISTS z", "0" }, { "ZREMRANGEBYRANK n 0 -1", "0" },
      { "ZREMRANGEBYRANK z x 1", NOT_INTEGER }, { "ZREMRANGEBYSCORE z x 1", NOT_RANGE },
      { "ZREMRANGEBYLEX z x +", NOT_NAMES }, { "SET s v", "OK" },
      { "ZREMRANGEBYRANK s 0 1", WRONG_TYPE }, { "ZREMRANGEBYSCORE s 0 1", WRONG_TYPE },
      { "ZREMRANGEBYLEX s - +", WRONG_TYPE })

STEPS(ranges_are_stored, { "ZADD z 1 a 2 b 3 c 4 d", "4" }, { "ZRANGESTORE y z 1 2", "2" },
      { "ZRANGE y 0 -1 WITHSCORES", "[\"b\" \"2\" \"c\" \"3\"]" },
      { "ZRANGESTORE y z (2 +inf BYSCORE LIMIT 1 5", "1" }, { "ZRANGE y 0 -1", "[\"d\"]" },
      { "ZRANGESTORE y z 0 0 REV", "1" }, { "ZRANGE y 0 -1", "[\"d\"]" },
      { "ZRANGESTORE z z 0 1", "2" }, { "ZRANGE z 0 -1", "[\"a\" \"b\"]" },
      { "SET s v EX 9", "OK" }, { "ZRANGESTORE s z - + BYLEX", "2" }, { "TYPE s", "zset" },
      { "TTL s", "-1" }, { "ZRANGESTORE s z 5 9", "0" }, { "EXISTS s", "0" },
      { "ZRANGESTORE y n 0 -1", "0" }, { "EXISTS y", "0" },
      { "ZRANGESTORE y z 0 1 WITHSCORES", SYNTAX }, { "SET s v", "OK" },
      { "ZRANGESTORE y s 0 1", WRONG_TYPE })

/* --- algebra --- */

STEPS(unions, { "ZADD a 1 x 2 y", "2" }, { "ZADD b 10 y 20 z", "2" }, { "SADD s x w", "2" },
      { "ZUNION 2 a b", "[\"x\" \"y\" \"z\"]" },
      { "ZUNION 2 a b WITHSCORES", "[\"x\" \"1\" \"y\" \"12\" \"z\" \"20\"]" },
      { "ZUNION 2 a s WITHSCORES", "[\"w\" \"1\" \"x\" \"2\" \"y\" \"2\"]" },
      { "ZUNION 2 a b WEIGHTS 2 -1 WITHSCORES", "[\"z\" \"-20\" \"y\" \"-6\" \"x\" \"2\"]" },
      { "ZUNION 2 a b AGGREGATE MIN WITHSCORES", "[\"x\" \"1\" \"y\" \"2\" \"z\" \"20\"]" },
      { "ZUNION 2 a b WITHSCORES AGGREGATE max WEIGHTS 1 1",
        "[\"x\" \"1\" \"y\" \"10\" \"z\" \"20\"]" },
      { "ZUNION 1 n", "[]" }, { "ZUNIONSTORE d 3 a b n", "3" },
      { "ZRANGE d 0 -1 WITHSCORES", "[\"x\" \"1\" \"y\" \"12\" \"z\" \"20\"]" },
      { "ZUNIONSTORE a 2 a a", "2" }, { "ZRANGE a 0 -1 WITHSCORES", "[\"x\" \"2\" \"y\" \"4\"]" },
      { "ZUNIONSTORE u 1 s WEIGHTS 5", "2" },
      { "ZRANGE u 0 -1 WITHSCORES", "[\"w\" \"5\" \"x\" \"5\"]" }, { "ZUNIONSTORE s 1 s", "2" },
      { "TYPE s", "zset" }, { "ZUNIONSTORE d 1 n", "0" }, { "EXISTS d", "0" },
      { "ZADD i inf x", "1" }, { "ZADD j -inf x", "1" },
      { "ZUNION 2 i j WITHSCORES", "[\"x\" \"0\"]" },
      { "ZINTER 2 i j WITHSCORES", "[\"x\" \"0\"]" },
      { "ZUNION 1 i WEIGHTS 0 WITHSCORES", "[\"x\" \"0\"]" })

STEPS(intersections_and_differences, { "ZADD a 1 x 2 y 3 z", "3" }, { "ZADD b 10 y 20 z", "2" },
      { "SADD s z q", "2" }, { "ZINTER 2 a b WITHSCORES", "[\"y\" \"12\" \"z\" \"23\"]" },
      { "ZINTER 3 a b s WEIGHTS 1 2 3 WITHSCORES", "[\"z\" \"46\"]" },
      { "ZINTER 2 a b AGGREGATE MAX WITHSCORES", "[\"y\" \"10\" \"z\" \"20\"]" },
      { "ZINTER 2 a n", "[]" },
      { "ZINTER 2 a a WITHSCORES", "[\"x\" \"2\" \"y\" \"4\" \"z\" \"6\"]" },
      { "ZDIFF 2 a b WITHSCORES", "[\"x\" \"1\"]" }, { "ZDIFF 2 s a WITHSCORES", "[\"q\" \"1\"]" },
      { "ZDIFF 2 n a", "[]" }, { "ZDIFF 3 a n s", "[\"x\" \"y\"]" }, { "ZDIFF 2 a a", "[]" },
      { "ZINTERSTORE d 2 a b", "2" }, { "ZRANGE d 0 -1 WITHSCORES", "[\"y\" \"12\" \"z\" \"23\"]" },
      { "ZDIFFSTORE d 2 a s", "2" }, { "ZRANGE d 0 -1 WITHSCORES", "[\"x\" \"1\" \"y\" \"2\"]" },
      { "ZDIFFSTORE a 2 a s", "2" }, { "ZCARD a", "2" }, { "ZINTERSTORE d 2 a n", "0" },
      { "EXISTS d", "0" }, { "ZINTERCARD 2 a b", "1" }, { "ZADD a 5 z", "1" },
      { "ZINTERCARD 2 a b", "2" }, { "ZINTERCARD 2 a b LIMIT 1", "1" },
      { "ZINTERCARD 2 a b LIMIT 0", "2" }, { "ZINTERCARD 2 a n LIMIT 5", "0" })

STEPS(algebra_refuses, { "ZADD a 1 x", "1" }, { "SET k v", "OK" }, { "ZUNION 1 k", WRONG_TYPE },
      { "ZUNIONSTORE d 2 a k", WRONG_TYPE }, { "ZUNION x a", NOT_INTEGER },
      { "ZUNION 0 a", "-ERR at least 1 input key is needed for 'zunion' command" },
      { "ZDIFFSTORE d -1 a", "-ERR at least 1 input key is needed for 'zdiffstore' command" },
      { "ZINTERCARD 0 a", "-ERR at least 1 input key is needed for 'zintercard' command" },
      { "ZUNION 2 a", SYNTAX }, { "ZUNION 9223372036854775807 a", SYNTAX },
      { "ZUNION 1 a WEIGHTS", SYNTAX },
      { "ZUNION 1 a WEIGHTS x", "-ERR weight value is not a float" },
      { "ZUNION 2 a a WEIGHTS 1", SYNTAX }, { "ZUNION 1 a AGGREGATE", SYNTAX },
      { "ZUNION 1 a AGGREGATE AVG", SYNTAX }, { "ZUNION 1 a BAD", SYNTAX },
      { "ZUNIONSTORE d 1 a WITHSCORES", SYNTAX }, { "ZDIFF 1 a WEIGHTS 1", SYNTAX },
      { "ZDIFF 1 a AGGREGATE SUM", SYNTAX }, { "ZINTERCARD 1 a WITHSCORES", SYNTAX },
      { "ZINTERCARD 1 a LIMIT -1", "-ERR LIMIT can't be negative" },
      { "ZINTERCARD 1 a LIMIT", SYNTAX }, { "ZINTER 1 a LIMIT 1", SYNTAX },
      { "ZINTERCARD 1 a LIMIT x", "-ERR LIMIT can't be negative" }, { "SINTER a", WRONG_TYPE })

/* --- pops --- */

STEPS(pops, { "ZPOPMIN z", "[]" }, { "ZADD z 1 a 2 b 3 c 4 d", "4" },
      { "ZPOPMIN z", "[\"a\" \"1\"]" }, { "ZPOPMAX z", "[\"d\" \"4\"]" }, { "ZPOPMIN z 0", "[]" },
      { "ZPOPMAX z 5", "[\"c\" \"3\" \"b\" \"2\"]" }, { "EXISTS z", "0" },
      { "ZPOPMIN z -1", "-ERR value is out of range, must be positive" },
      { "ZPOPMIN z x", "-ERR value is out of range, must be positive" },
      { "ZPOPMIN z 1 2", SYNTAX }, { "SET s v", "OK" }, { "ZPOPMIN s", WRONG_TYPE },
      { "ZPOPMAX s 0", WRONG_TYPE })

STEPS(pops_of_several_keys, { "ZMPOP 2 a b MIN", "nil-array" }, { "ZADD b 1 x 2 y 3 z", "3" },
      { "ZMPOP 2 a b MIN", "[\"b\" [[\"x\" \"1\"]]]" },
      { "ZMPOP 2 a b max COUNT 5", "[\"b\" [[\"z\" \"3\"] [\"y\" \"2\"]]]" }, { "EXISTS b", "0" },
      { "ZMPOP 0 a MIN", "-ERR numkeys should be greater than 0" },
      { "ZMPOP x a MIN", "-ERR numkeys should be greater than 0" }, { "ZMPOP 2 a MIN", SYNTAX },
      { "ZMPOP 3 a b MIN", SYNTAX }, { "ZMPOP 9223372036854775807 a MIN", SYNTAX },
      { "ZMPOP 1 a BAD", SYNTAX }, { "ZMPOP 1 a MIN COUNT", SYNTAX },
      { "ZMPOP 1 a MIN COUNT 0", "-ERR count should be greater than 0" },
      { "ZMPOP 1 a MIN COUNT x", "-ERR count should be greater than 0" },
      { "ZMPOP 1 a MIN COUNT 1 COUNT 1", SYNTAX }, { "ZMPOP 1 a MIN BAD 1", SYNTAX },
      { "SET s v", "OK" }, { "ZMPOP 2 a s MIN", WRONG_TYPE }, { "ZADD a 1 m", "1" },
      { "ZMPOP 2 a s MIN", "[\"a\" [[\"m\" \"1\"]]]" })

STEPS(pops_that_need_not_wait, { "ZADD z 1 a 2 b 3 c 4 d 5 e", "5" },
      { "BZPOPMIN n z 0", "[\"z\" \"a\" \"1\"]" }, { "BZPOPMAX z 0.5", "[\"z\" \"e\" \"5\"]" },
      { "BZMPOP 0 2 n z MIN COUNT 2", "[\"z\" [[\"b\" \"2\"] [\"c\" \"3\"]]]" },
      { "BZMPOP 1 1 z MAX", "[\"z\" [[\"d\" \"4\"]]]" }, { "EXISTS z", "0" },
      { "BZPOPMIN z x", "-ERR timeout is not a float or out of range" },
      { "BZPOPMIN z -1", "-ERR timeout is negative" },
      { "BZMPOP x 1 z MIN", "-ERR timeout is not a float or out of range" },
      { "BZMPOP 0 0 z MIN", "-ERR numkeys should be greater than 0" },
      { "BZMPOP x 1 z BAD", SYNTAX }, { "SET s v", "OK" }, { "BZPOPMIN n s 0", WRONG_TYPE },
      { "BZMPOP 0 2 n s MIN", WRONG_TYPE },
      { "BZPOPMAX s x", "-ERR timeout is not a float or out of range" })

STEPS(random_members, { "ZRANDMEMBER z", "nil" }, { "ZRANDMEMBER z 3", "[]" },
      { "ZADD z 1 a", "1" }, { "ZRANDMEMBER z", "\"a\"" },
      { "ZRANDMEMBER z -3", "[\"a\" \"a\" \"a\"]" },
      { "ZRANDMEMBER z 9 WITHSCORES", "[\"a\" \"1\"]" }, { "ZRANDMEMBER z 0", "[]" },
      { "ZADD z 2 b 3 c", "2" }, { "ZRANDMEMBER z 3", "~[\"a\" \"b\" \"c\"]" },
      { "ZRANDMEMBER z 1 BAD", SYNTAX }, { "ZRANDMEMBER z 1 WITHSCORES x", SYNTAX },
      { "ZRANDMEMBER z x", NOT_INTEGER },
      { "ZRANDMEMBER z 9223372036854775807 WITHSCORES", "-ERR value is out of range" },
      { "SET s v", "OK" }, { "ZRANDMEMBER s", WRONG_TYPE }, { "ZRANDMEMBER s 1", WRONG_TYPE })

STEPS(scans_of_members, { "ZADD z 0.1 ab 2 b", "2" },
      { "ZSCAN z 0 MATCH a*", "[\"0\" [\"ab\" \"0.10000000000000001\"]]" },
      { "ZSCAN z 0 COUNT 100 MATCH b", "[\"0\" [\"b\" \"2\"]]" }, { "ZSCAN n 0", "[\"0\" []]" },
      { "ZSCAN z x", "-ERR invalid cursor" }, { "ZSCAN z 0 COUNT 0", SYNTAX }, { "SET s v", "OK" },
      { "ZSCAN s 0", WRONG_TYPE }, { "SCAN 0 COUNT 1000 TYPE zset", "[\"0\" [\"z\"]]" })

STEPS(resp3_has_doubles_and_pairs, { "!3", "" }, { "ZADD z 1 a 2.5 b 0.1 c", "3" },
      { "ZSCORE z b", ",2.5" }, { "ZSCORE z x", "nil" }, { "ZMSCORE z a x", "[,1 nil]" },
      { "ZINCRBY z 1 a", ",2" }, { "ZADD z INCR inf a", ",inf" }, { "ZADD z XX INCR 1 n", "nil" },
      { "ZADD z 1 a", "0" }, { "ZRANK z n", "nil" }, { "ZRANGE z 0 -1", "[\"c\" \"a\" \"b\"]" },
      { "ZRANGE z 0 -1 WITHSCORES", "[[\"c\" ,0.10000000000000001] [\"a\" ,1] [\"b\" ,2.5]]" },
      { "ZREVRANGEBYSCORE z 9 1 WITHSCORES", "[[\"b\" ,2.5] [\"a\" ,1]]" },
      { "ZUNION 1 z WITHSCORES", "[[\"c\" ,0.10000000000000001] [\"a\" ,1] [\"b\" ,2.5]]" },
      { "ZDIFF 1 z", "[\"c\" \"a\" \"b\"]" }, { "ZREM z c b", "2" },
      { "ZRANDMEMBER z 1 WITHSCORES", "[[\"a\" ,1]]" }, { "ZSCAN z 0", "[\"0\" [\"a\" \"1\"]]" },
      { "ZPOPMIN z", "[\"a\" ,1]" }, { "ZPOPMIN z", "[]" }, { "ZADD z 1 a 2 b 3 c 4 d", "4" },
      { "ZPOPMIN z 1", "[[\"a\" ,1]]" }, { "ZPOPMAX z 2", "[[\"d\" ,4] [\"c\" ,3]]" },
      { "ZPOPMAX n 2", "[]" }, { "ZMPOP 1 n MIN", "nil" },
      { "ZMPOP 1 z MIN", "[\"z\" [[\"b\" ,2]]]" }, { "ZADD z 1 a 2 b", "2" },
      { "BZPOPMIN z 0", "[\"z\" \"a\" ,1]" }, { "BZMPOP 0 1 z MAX", "[\"z\" [[\"b\" ,2]]]" })

STEPS(keys_of_commands, { "COMMAND GETKEYS ZUNIONSTORE d 2 a b", "[\"d\" \"a\" \"b\"]" },
      { "COMMAND GETKEYS ZUNION 2 a b WITHSCORES", "[\"a\" \"b\"]" },
      { "COMMAND GETKEYS BZMPOP 0 2 a b MIN", "[\"a\" \"b\"]" },
      { "COMMAND GETKEYS ZRANGESTORE d s 0 1", "[\"d\" \"s\"]" },
      { "COMMAND GETKEYS BZPOPMIN a b 0", "[\"a\" \"b\"]" },
      { "COMMAND GETKEYS ZDIFFSTORE d 5 a", "-ERR Invalid arguments specified for command" },
      { "COMMAND GETKEYSANDFLAGS ZDIFFSTORE d 1 a", "[[\"d\" [OW update]] [\"a\" [RO access]]]" })

/* --- what lines cannot say --- */

TEST(adding_the_score_that_is_there_is_an_effect_and_what_changes_nothing_is_none)
{
    static const struct {
        const char *line;
        bool wrote;
    } cases[] = {
        { "ZADD z 1 a", true },
        { "ZADD z 1 a", true },
        { "ZADD z NX 2 a", false },
        { "ZADD z XX CH 1 a", true },
        { "ZADD z GT 1 a", false },
        { "ZADD z XX 1 b", false },
        { "ZADD z NX INCR 1 a", false },
        { "ZINCRBY z 0 a", true },
        { "ZREM z b", false },
        { "ZREMRANGEBYRANK z 5 9", false },
        { "ZRANGESTORE n z 5 9", false },
        { "ZPOPMIN n", false },
        { "ZUNIONSTORE n 1 m", false },
        { "ZPOPMIN z", true },
    };

    open_world();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        execute(cases[i].line);
        EXPECT_EQ(world.session.wrote, cases[i].wrote);
    }
    close_world();
}

TEST(long_names_and_many_members)
{
    enum { MANY = 180 };
    struct buffer line = { 0 };

    open_world();
    buffer_put_text(&line, "ZADD z CH");
    for (int i = 0; i < MANY; i++)
        buffer_printf(&line, " %d %0300d", i % 7, i);
    buffer_put_u8(&line, 0);
    EXPECT_REPLY((const char *)line.at, "180");
    buffer_clear(&line);
    buffer_printf(&line, "ZLEXCOUNT z - [%0300d", 1);
    buffer_put_u8(&line, 0);
    execute("ZREMRANGEBYSCORE z 1 6");
    EXPECT_REPLY("ZCARD z", "26");
    EXPECT_REPLY((const char *)line.at, "1"); /* 0, and not 7 */
    buffer_release(&line);
    close_world();
}

/* --- ranges against a plain model --- */

enum { MODEL_MEMBERS = 200 };

struct model {
    double scores[MODEL_MEMBERS]; /* of the member that is the number, in four digits; NaN: none */
    size_t count;
};

static const struct part *model_set(void)
{
    const struct entry *e = database_find(&world.replica.databases[0], span_str("z"));

    return e != NULL ? object_part(e, COMPONENT_ZSET) : NULL;
}

static double some_score(struct prng *prng)
{
    static const double ends[] = { INFINITY, -INFINITY, 0, 1e-300, 5e-324, 1e300 };

    if (prng_below(prng, 10) == 0)
        return ends[prng_below(prng, COUNT_OF(ends))];
    return (double)prng_below(prng, 40) / 4 - 5;
}

static void fill(struct model *m, struct prng *prng)
{
    size_t count = 1 + prng_below(prng, MODEL_MEMBERS);

    m->count = 0;
    for (size_t i = 0; i < MODEL_MEMBERS; i++)
        m->scores[i] = NAN;
    for (size_t n = 0; n < count; n++) {
        char line[96];
        size_t i = prng_below(prng, MODEL_MEMBERS);
        double score = some_score(prng);

        m->count += isnan(m->scores[i]) ? 1 : 0;
        m->scores[i] = score;
        snprintf(line, sizeof(line), "ZADD z %.17g %04zu", score, i);
        execute(line);
    }
}

static struct ranks model_ranks(const struct model *m, const struct score_range *r)
{
    struct ranks ranks = { 0, 0 };

    for (size_t i = 0; i < MODEL_MEMBERS; i++) {
        double score = m->scores[i];

        if (isnan(score))
            continue;
        bool below = r->min_open ? score <= r->min : score < r->min;
        bool above = r->max_open ? score >= r->max : score > r->max;
        ranks.first += below;
        ranks.end += !below && !above;
    }
    ranks.end += ranks.first;
    return ranks;
}

TEST(ranges_by_score_agree_with_a_plain_count)
{
    struct prng prng;
    struct model m;

    prng_seed(&prng, test_seed());
    for (int round = 0; round < 20; round++) {
        open_world();
        fill(&m, &prng);
        for (int i = 0; i < 200; i++) {
            struct score_range r = { some_score(&prng), some_score(&prng),
                                     prng_below(&prng, 2) == 0, prng_below(&prng, 2) == 0 };
            struct ranks expected = model_ranks(&m, &r), got = ranks_by_score(model_set(), &r);

            EXPECT_EQ(ranks_count(got), ranks_count(expected));
            EXPECT(ranks_count(got) == 0 || got.first == expected.first);
        }
        btree_check(&model_set()->order);
        close_world();
    }
}

/* True when no member of the model stands before another that is told later. */
static bool told_in_order(const struct model *m)
{
    struct btree_cursor c;
    double last = -INFINITY;
    size_t last_name = 0, told = 0;

    for (const struct entry *e = btree_seek(&model_set()->order, 0, &c); e; e = btree_next(&c)) {
        size_t name = strtoul((const char *)entry_name(e).at, NULL, 10);

        if (entry_score(e) != m->scores[name] || entry_score(e) < last)
            return false;
        if (told > 0 && entry_score(e) == last && name <= last_name)
            return false;
        last = entry_score(e);
        last_name = name;
        told++;
    }
    return told == m->count;
}

TEST(pops_take_both_ends_of_the_order)
{
    struct prng prng;
    struct model m;

    prng_seed(&prng, test_seed());
    for (int round = 0; round < 20; round++) {
        open_world();
        fill(&m, &prng);
        EXPECT(told_in_order(&m));
        while (m.count > 0) {
            bool max = prng_below(&prng, 2);
            size_t popped = MODEL_MEMBERS;

            for (size_t i = 0; i < MODEL_MEMBERS; i++) {
                if (isnan(m.scores[i]))
                    continue;
                if (popped == MODEL_MEMBERS ||
                    (max ? m.scores[i] >= m.scores[popped] : m.scores[i] < m.scores[popped]))
                    popped = i;
            }
            char expected[96];
            snprintf(expected, sizeof(expected), "[\"%04zu\" \"%.17g\"]", popped, m.scores[popped]);
            EXPECT_REPLY(max ? "ZPOPMAX z" : "ZPOPMIN z", expected);
            m.scores[popped] = NAN;
            m.count--;
        }
        EXPECT_REPLY("EXISTS z", "0");
        close_world();
    }
}

TEST(a_union_makes_room_for_what_it_finds)
{
    enum { SETS = 40, MEMBERS = 50 };
    struct buffer line = { 0 };
    char text[64];

    open_world();
    buffer_printf(&line, "ZUNIONSTORE all %d", 3 * SETS);
    for (int i = 0; i < SETS; i++) {
        for (int k = 0; k < MEMBERS; k++) { /* each half of them is in the next one too */
            snprintf(text, sizeof(text), "ZADD z%d 1 m%d", i, i * MEMBERS / 2 + k);
            execute(text);
        }
        buffer_printf(&line, " z%d z%d z%d", i, i, SETS - 1 - i);
    }
    buffer_put_u8(&line, 0);
    EXPECT_REPLY((const char *)line.at, "1025");
    EXPECT_REPLY("ZCOUNT all 3 3", "50");
    EXPECT_REPLY("ZCOUNT all 6 6", "975");
    buffer_release(&line);
    close_world();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
