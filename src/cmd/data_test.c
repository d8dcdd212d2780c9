/*
 * Data commands as clients see them: strings, hashes, sets and keys (cmd/trial.h).
 */
#include "cmd/trial.h"

/* --- strings --- */

STEPS(set_and_get, { "GET k", "nil" }, { "SET k v", "OK" }, { "GET k", "\"v\"" },
      { "SET k \"\"", "OK" }, { "GET k", "\"\"" }, { "SADD s a", "1" }, { "GET s", WRONG_TYPE },
      { "SET s v", "OK" }, { "TYPE s", "string" },
      { "GET", "-ERR wrong number of arguments for 'get' command" })

STEPS(set_conditions, { "SET k v XX", "nil" }, { "SET k v NX", "OK" }, { "SET k w NX", "nil" },
      { "SET k w XX", "OK" }, { "SET k x GET", "\"w\"" }, { "SET k y NX GET", "\"x\"" },
      { "GET k", "\"x\"" }, { "SET n y NX GET", "nil" }, { "GET n", "\"y\"" },
      { "SET m y XX GET", "nil" }, { "EXISTS m", "0" }, { "SET k v NX XX", SYNTAX },
      { "SADD s a", "1" }, { "SET s v GET", WRONG_TYPE }, { "SET k v BAD", SYNTAX },
      { "SET k v nx nx", "nil" })

STEPS(set_times, { "SET k v EX 10", "OK" }, { "TTL k", "10" }, { "PTTL k", "10000" },
      { "SET k w KEEPTTL", "OK" }, { "TTL k", "10" }, { "SET k v", "OK" }, { "TTL k", "-1" },
      { "SET k v PX 1500", "OK" }, { "PTTL k", "1500" }, { "TTL k", "2" },
      { "SET k v EXAT 2000", "OK" }, { "EXPIRETIME k", "2000" }, { "SET k v PXAT 2000001", "OK" },
      { "PEXPIRETIME k", "2000001" }, { "SET k v PXAT 5", "OK" }, { "GET k", "nil" },
      { "TTL k", "-2" }, { "SET k v EX 0", "-ERR invalid expire time in 'set' command" },
      { "SET k v PX -1", "-ERR invalid expire time in 'set' command" },
      { "SET k v EX 9223372036854775807", "-ERR invalid expire time in 'set' command" },
      { "SET k v EX x", NOT_INTEGER }, { "SET k v EX", SYNTAX }, { "SET k v EX 1 PX 1", SYNTAX },
      { "SET k v EX 1 KEEPTTL", SYNTAX }, { "SET k v KEEPTTL EX 1", SYNTAX },
      { "SET k v EX 1 EX 2", "OK" }, { "TTL k", "2" })

STEPS(expired_strings_are_absent, { "SET k v PX 100", "OK" }, { "@100", "" }, { "GET k", "\"v\"" },
      { "@1", "" }, { "GET k", "nil" }, { "EXISTS k", "0" }, { "SET k v XX", "nil" },
      { "APPEND k x", "1" }, { "TTL k", "-1" }, { "SET k v PX 5", "OK" }, { "@6", "" },
      { "INCR k", "1" }, { "TTL k", "-1" })

STEPS(set_variants, { "SETNX k v", "1" }, { "SETNX k w", "0" }, { "SETEX k 5 v", "OK" },
      { "TTL k", "5" }, { "PSETEX k 5 v", "OK" }, { "PTTL k", "5" },
      { "SETEX k 0 v", "-ERR invalid expire time in 'setex' command" },
      { "PSETEX k x v", NOT_INTEGER }, { "GETSET k w", "\"v\"" }, { "TTL k", "-1" },
      { "GETSET n w", "nil" }, { "GETDEL n", "\"w\"" }, { "GETDEL n", "nil" }, { "SADD s a", "1" },
      { "GETSET s v", WRONG_TYPE }, { "GETDEL s", WRONG_TYPE }, { "SETNX s v", "0" })

STEPS(getex, { "SET k v", "OK" }, { "GETEX k EX 10", "\"v\"" }, { "TTL k", "10" },
      { "GETEX k", "\"v\"" }, { "TTL k", "10" }, { "GETEX k PERSIST", "\"v\"" }, { "TTL k", "-1" },
      { "GETEX k PX 1 PERSIST", SYNTAX }, { "GETEX k KEEPTTL", SYNTAX },
      { "GETEX k EX 0", "-ERR invalid expire time in 'getex' command" }, { "GETEX no EX 0", "nil" },
      { "GETEX k PXAT 5", "\"v\"" }, { "GET k", "nil" })

STEPS(many_strings, { "MSET a 1 b 2", "OK" }, { "SADD s a", "1" },
      { "MGET a s x b", "[\"1\" nil nil \"2\"]" },
      { "MSET a", "-ERR wrong number of arguments for 'mset' command" },
      { "MSET a 1 b", "-ERR wrong number of arguments for 'mset' command" },
      { "MSETNX c 1 b 2", "0" }, { "EXISTS c", "0" }, { "MSETNX c 1 d 2", "1" },
      { "MSET e 1 e 2", "OK" }, { "GET e", "\"2\"" })

STEPS(parts_of_strings, { "APPEND k ab", "2" }, { "APPEND k cd", "4" }, { "STRLEN k", "4" },
      { "STRLEN n", "0" }, { "GETRANGE k 1 2", "\"bc\"" }, { "GETRANGE k -2 -1", "\"cd\"" },
      { "GETRANGE k 0 -1", "\"abcd\"" }, { "GETRANGE k 3 100", "\"d\"" },
      { "GETRANGE k -100 0", "\"a\"" }, { "GETRANGE k 2 1", "\"\"" },
      { "GETRANGE k -1 -2", "\"\"" }, { "GETRANGE k 5 9", "\"\"" }, { "SUBSTR k 0 0", "\"a\"" },
      { "GETRANGE k -9223372036854775808 9223372036854775807", "\"abcd\"" },
      { "GETRANGE k x 1", NOT_INTEGER }, { "SETRANGE k 2 XY", "4" }, { "GET k", "\"abXY\"" },
      { "SETRANGE k 3 pqr", "6" }, { "GET k", "\"abXpqr\"" }, { "SETRANGE k 1 \"\"", "6" },
      { "SETRANGE n 3 \"\"", "0" }, { "EXISTS n", "0" }, { "SETRANGE n 2 x", "3" },
      { "SETRANGE k -1 x", "-ERR offset is out of range" },
      { "SETRANGE k 536870912 x", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)" },
      { "SETRANGE k 9223372036854775807 x",
        "-ERR string exceeds maximum allowed size (proto-max-bulk-len)" },
      { "SET t ab EX 9", "OK" }, { "APPEND t c", "3" }, { "SETRANGE t 0 X", "3" }, { "TTL t", "9" },
      { "APPEND e \"\"", "0" }, { "EXISTS e", "1" }, { "SADD s a", "1" },
      { "APPEND s a", WRONG_TYPE })

STEPS(counters, { "INCR c", "1" }, { "INCRBY c 41", "42" }, { "DECR c", "41" },
      { "DECRBY c 50", "-9" }, { "GET c", "\"-9\"" }, { "STRLEN c", "2" },
      { "SET c 9223372036854775806", "OK" }, { "INCR c", "9223372036854775807" },
      { "INCR c", OVERFLOW }, { "INCRBY c -1", "9223372036854775806" },
      { "SET c -9223372036854775808", "OK" }, { "DECR c", OVERFLOW },
      { "DECRBY c -9223372036854775808", "-ERR decrement would overflow" },
      { "INCRBY c x", NOT_INTEGER }, { "INCRBY c 1.5", NOT_INTEGER }, { "SET c 10", "OK" },
      { "INCR c", "11" }, { "APPEND c 2", "3" }, { "INCR c", "113" }, { "SET c abc", "OK" },
      { "INCR c", NOT_INTEGER }, { "SET c 01", "OK" }, { "INCR c", NOT_INTEGER },
      { "SET c \" 1\"", "OK" }, { "INCR c", NOT_INTEGER }, { "SET c 5 EX 9", "OK" },
      { "INCR c", "6" }, { "TTL c", "9" }, { "SADD s a", "1" }, { "INCR s", WRONG_TYPE },
      { "INCRBY s x", NOT_INTEGER }, { "INCRBY z 0", "0" }, { "GET z", "\"0\"" })

STEPS(counters_that_floats_were_added_to_stay_exact_far_out, { "INCRBYFLOAT c 0.5", "\"0.5\"" },
      { "INCRBYFLOAT c 0.5", "\"1\"" }, { "INCRBY c 9223372036854775805", "9223372036854775806" },
      { "GET c", "\"9223372036854775806\"" }, { "INCR c", "9223372036854775807" },
      { "HINCRBYFLOAT h f 1e16", "\"10000000000000000\"" },
      { "HINCRBY h f 1", "10000000000000001" }, { "HGET h f", "\"10000000000000001\"" })

STEPS(float_counters, { "INCRBYFLOAT c 1.5", "\"1.5\"" }, { "INCRBYFLOAT c 1.5", "\"3\"" },
      { "INCR c", "4" }, { "GET c", "\"4\"" }, { "INCRBYFLOAT c -4.25", "\"-0.25\"" },
      { "INCR c", NOT_INTEGER }, { "SET c 5.0e3", "OK" }, { "INCRBYFLOAT c 2e2", "\"5200\"" },
      { "SET c 10.5", "OK" }, { "INCRBYFLOAT c 0.1", "\"10.6\"" },
      { "INCRBYFLOAT c abc", NOT_FLOAT }, { "INCRBYFLOAT c nan", NOT_FLOAT },
      { "INCRBYFLOAT c inf", "-ERR increment would produce NaN or Infinity" },
      { "SET c abc", "OK" }, { "INCRBYFLOAT c 1", NOT_FLOAT }, { "SET c 1.7e308", "OK" },
      { "INCRBYFLOAT c 1.7e308", "-ERR increment would produce NaN or Infinity" },
      { "INCRBYFLOAT c -1.7e308", "\"0\"" }, { "INCRBYFLOAT c -1.7e308", "\"-1.7e+308\"" },
      { "INCRBYFLOAT c 1.7e308", "\"0\"" }, { "SADD s a", "1" }, { "INCRBYFLOAT s 1", WRONG_TYPE })

STEPS(longest_common_subsequence, { "MSET a ohmytext b mynewtext", "OK" },
      { "LCS a b", "\"mytext\"" }, { "LCS a b LEN", "6" },
      { "LCS a b IDX", "[\"matches\" [[[4 7] [5 8]] [[2 3] [0 1]]] \"len\" 6]" },
      { "LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN", "[\"matches\" [[[4 7] [5 8] 4]] \"len\" 6]" },
      { "LCS a no", "\"\"" }, { "LCS a no LEN", "0" },
      { "LCS a no IDX", "[\"matches\" [] \"len\" 0]" },
      { "LCS a b LEN IDX", "-ERR If you want both the length and indexes, please just use IDX." },
      { "LCS a b MINMATCHLEN", SYNTAX }, { "LCS a b MINMATCHLEN x", NOT_INTEGER },
      { "SADD s a", "1" }, { "LCS a s BAD", "-ERR The specified keys must contain string values" })

/* --- hashes --- */

STEPS(hash_fields, { "HSET h a 1 b 2", "2" }, { "HSET h a 3 c 4", "1" }, { "HGET h a", "\"3\"" },
      { "HGET h x", "nil" }, { "HGET n x", "nil" }, { "HMGET h a x c", "[\"3\" nil \"4\"]" },
      { "HMGET n a b", "[nil nil]" }, { "HLEN h", "3" }, { "HEXISTS h a", "1" },
      { "HEXISTS h x", "0" }, { "HSTRLEN h a", "1" }, { "HSTRLEN h x", "0" },
      { "HKEYS h", "~[\"a\" \"b\" \"c\"]" }, { "HVALS h", "~[\"2\" \"3\" \"4\"]" },
      { "HGETALL h", "~[\"2\" \"3\" \"4\" \"a\" \"b\" \"c\"]" }, { "HSETNX h a 9", "0" },
      { "HSETNX h d 9", "1" }, { "HMSET h e 1", "OK" }, { "HDEL h a a x", "1" },
      { "HDEL h x", "0" }, { "HDEL n x", "0" }, { "HDEL h b c d e", "4" }, { "EXISTS h", "0" },
      { "HGETALL h", "[]" }, { "HKEYS h", "[]" },
      { "HSET h a", "-ERR wrong number of arguments for 'hset' command" },
      { "HMSET h a 1 b", "-ERR wrong number of arguments for 'hmset' command" },
      { "HSET d f 1 f 2", "1" }, { "HGET d f", "\"2\"" }, { "HSET d f 3", "0" },
      { "HGETALL d", "[\"f\" \"3\"]" }, { "SET s v", "OK" }, { "HSET s a 1", WRONG_TYPE },
      { "HGET s a", WRONG_TYPE }, { "HGETALL s", WRONG_TYPE }, { "HDEL s a", WRONG_TYPE },
      { "HLEN s", WRONG_TYPE })

STEPS(hash_counters, { "HINCRBY h f 5", "5" }, { "HINCRBY h f -7", "-2" }, { "HGET h f", "\"-2\"" },
      { "HINCRBYFLOAT h f 2.5", "\"0.5\"" },
      { "HINCRBY h f 1", "-ERR hash value is not an integer" }, { "HSET h g abc", "1" },
      { "HINCRBY h g 1", "-ERR hash value is not an integer" },
      { "HINCRBYFLOAT h g 1", "-ERR hash value is not a float" }, { "HINCRBY h f x", NOT_INTEGER },
      { "HINCRBYFLOAT h f x", NOT_FLOAT },
      { "HINCRBYFLOAT h f inf", "-ERR value is NaN or Infinity" },
      { "HSET h m 9223372036854775807", "1" }, { "HINCRBY h m 1", OVERFLOW },
      { "HSET h m 1.7e308", "0" },
      { "HINCRBYFLOAT h m 1.7e308", "-ERR increment would produce NaN or Infinity" },
      { "HINCRBYFLOAT h m -1.7e308", "\"0\"" }, { "HDEL h f g m", "3" }, { "EXISTS h", "0" },
      { "SET s v", "OK" }, { "HINCRBY s f 1", WRONG_TYPE }, { "HINCRBYFLOAT s f 1", WRONG_TYPE })

STEPS(hash_random_fields, { "HRANDFIELD h", "nil" }, { "HRANDFIELD h 3", "[]" },
      { "HSET h a 1", "1" }, { "HRANDFIELD h", "\"a\"" },
      { "HRANDFIELD h -3", "[\"a\" \"a\" \"a\"]" },
      { "HRANDFIELD h 9 WITHVALUES", "[\"a\" \"1\"]" }, { "HRANDFIELD h 0", "[]" },
      { "HSET h b 2 c 3 d 4", "3" }, { "HRANDFIELD h 4", "~[\"a\" \"b\" \"c\" \"d\"]" },
      { "HRANDFIELD h 1 BAD", SYNTAX }, { "HRANDFIELD h 1 WITHVALUES x", SYNTAX },
      { "HRANDFIELD h x", NOT_INTEGER },
      { "HRANDFIELD h 9223372036854775807 WITHVALUES", "-ERR value is out of range" },
      { "HRANDFIELD h -9223372036854775808", "-ERR value is out of range, value must between "
                                             "-9223372036854775807 and 9223372036854775807" })

/* --- sets --- */

STEPS(set_members, { "SADD s a b", "2" }, { "SADD s b c c", "1" }, { "SCARD s", "3" },
      { "SMEMBERS s", "~[\"a\" \"b\" \"c\"]" }, { "SISMEMBER s a", "1" }, { "SISMEMBER s x", "0" },
      { "SMISMEMBER s a x c", "[1 0 1]" }, { "SMISMEMBER n a", "[0]" }, { "SREM s a a x", "1" },
      { "SREM s x", "0" }, { "SREM n x", "0" }, { "SREM s b c", "2" }, { "EXISTS s", "0" },
      { "SMEMBERS s", "[]" }, { "SCARD s", "0" }, { "SET k v", "OK" }, { "SADD k a", WRONG_TYPE },
      { "SREM k a", WRONG_TYPE }, { "SMEMBERS k", WRONG_TYPE })

STEPS(set_moves, { "SADD s a b", "2" }, { "SMOVE s d a", "1" }, { "SMEMBERS d", "[\"a\"]" },
      { "SMOVE s d a", "0" }, { "SMOVE s s b", "1" }, { "SMOVE s s x", "0" },
      { "SMOVE s d b", "1" }, { "EXISTS s", "0" }, { "SCARD d", "2" }, { "SET k v", "OK" },
      { "SMOVE no k a", "0" }, { "SMOVE d k a", WRONG_TYPE }, { "SMOVE k d a", WRONG_TYPE },
      { "SMOVE d k x", WRONG_TYPE })

STEPS(set_pops, { "SPOP s", "nil" }, { "SPOP s 2", "[]" }, { "SADD s a", "1" },
      { "SPOP s", "\"a\"" }, { "EXISTS s", "0" }, { "SADD s a b c", "3" }, { "SPOP s 0", "[]" },
      { "SPOP s 9", "~[\"a\" \"b\" \"c\"]" }, { "EXISTS s", "0" },
      { "SPOP s -1", "-ERR value is out of range, must be positive" },
      { "SPOP s x", "-ERR value is out of range, must be positive" }, { "SPOP s 1 2", SYNTAX },
      { "SRANDMEMBER s", "nil" }, { "SRANDMEMBER s 2", "[]" }, { "SADD s a", "1" },
      { "SRANDMEMBER s", "\"a\"" }, { "SRANDMEMBER s -2", "[\"a\" \"a\"]" },
      { "SRANDMEMBER s 5", "[\"a\"]" }, { "SRANDMEMBER s x", NOT_INTEGER },
      { "SRANDMEMBER s 1 2", SYNTAX }, { "SET k v", "OK" }, { "SPOP k", WRONG_TYPE },
      { "SRANDMEMBER k 1", WRONG_TYPE })

STEPS(set_algebra, { "SADD a 1 2 3 4", "4" }, { "SADD b 3 4 5", "3" },
      { "SINTER a b", "~[\"3\" \"4\"]" }, { "SUNION a b n", "~[\"1\" \"2\" \"3\" \"4\" \"5\"]" },
      { "SDIFF a b n", "~[\"1\" \"2\"]" }, { "SDIFF n a", "[]" }, { "SINTER a n", "[]" },
      { "SDIFF a a", "[]" }, { "SINTERSTORE d a b", "2" }, { "SMEMBERS d", "~[\"3\" \"4\"]" },
      { "SUNIONSTORE a a b", "5" }, { "SCARD a", "5" }, { "SDIFFSTORE a a b", "2" },
      { "SMEMBERS a", "~[\"1\" \"2\"]" }, { "SINTERSTORE d a b", "0" }, { "EXISTS d", "0" },
      { "SET d v EX 9", "OK" }, { "SUNIONSTORE d b", "3" }, { "TTL d", "-1" }, { "TYPE d", "set" },
      { "SINTERCARD 2 d b", "3" }, { "SINTERCARD 2 d b LIMIT 2", "2" },
      { "SINTERCARD 2 d b LIMIT 0", "3" }, { "SINTERCARD 2 d n", "0" },
      { "SINTERCARD 0 d", "-ERR numkeys should be greater than 0" },
      { "SINTERCARD x d", "-ERR numkeys should be greater than 0" },
      { "SINTERCARD 2 d", "-ERR Number of keys can't be greater than number of args" },
      { "SINTERCARD 1 d LIMIT -1", "-ERR LIMIT can't be negative" },
      { "SINTERCARD 1 d LIMIT", SYNTAX }, { "SET k v", "OK" }, { "SINTER n k", WRONG_TYPE },
      { "SUNIONSTORE d b k", WRONG_TYPE }, { "SCARD d", "3" })

/* --- keys --- */

STEPS(keys_come_and_go, { "MSET a 1 b 2", "OK" }, { "EXISTS a b a n", "3" }, { "TOUCH a n", "1" },
      { "TYPE a", "string" }, { "TYPE n", "none" }, { "DEL a a n", "1" }, { "UNLINK b n", "1" },
      { "DBSIZE", "0" }, { "RANDOMKEY", "nil" }, { "HSET h f v", "1" }, { "TYPE h", "hash" },
      { "RANDOMKEY", "\"h\"" }, { "DBSIZE", "1" })

STEPS(expiry, { "SET k v", "OK" }, { "EXPIRE k 10", "1" }, { "TTL k", "10" },
      { "EXPIRE n 10", "0" }, { "EXPIRE k 20 NX", "0" }, { "EXPIRE k 20 XX", "1" },
      { "EXPIRE k 10 GT", "0" }, { "EXPIRE k 30 LT", "0" }, { "EXPIRE k 30 GT", "1" },
      { "EXPIRE k 20 LT", "1" }, { "TTL k", "20" }, { "PERSIST k", "1" }, { "PERSIST k", "0" },
      { "PERSIST n", "0" }, { "TTL k", "-1" }, { "TTL n", "-2" }, { "EXPIRE k 5 XX", "0" },
      { "EXPIRE k 5 GT", "0" }, { "EXPIRE k 5 LT", "1" }, { "PEXPIRE k 1499", "1" },
      { "TTL k", "1" }, { "EXPIREAT k 5000", "1" }, { "EXPIRETIME k", "5000" },
      { "PEXPIREAT k 5000001", "1" }, { "PEXPIRETIME k", "5000001" }, { "PEXPIRETIME n", "-2" },
      { "EXPIRE k 10 NX XX",
        "-ERR NX and XX, GT or LT options at the same time are not compatible" },
      { "EXPIRE k 10 GT LT", "-ERR GT and LT options at the same time are not compatible" },
      { "EXPIRE k 10 BAD", "-ERR Unsupported option BAD" }, { "EXPIRE k x", NOT_INTEGER },
      { "EXPIRE k 9223372036854775807", "-ERR invalid expire time in 'expire' command" },
      { "PEXPIRE k 9223372036854775807", "-ERR invalid expire time in 'pexpire' command" },
      { "EXPIRE k -1", "1" }, { "EXISTS k", "0" }, { "SADD s a", "1" }, { "EXPIRE s 1", "1" },
      { "@1001", "" }, { "SMEMBERS s", "[]" }, { "SADD s b", "1" }, { "TTL s", "-1" },
      { "EXPIREAT s 1", "1" }, { "EXISTS s", "0" }, { "HSET h f v", "1" }, { "EXPIRE h 1", "1" },
      { "HDEL h f", "1" }, { "HSET h f v", "1" }, { "TTL h", "-1" })

STEPS(renames, { "RENAME n m", "-ERR no such key" }, { "SET a v EX 9", "OK" },
      { "RENAME a b", "OK" }, { "GET b", "\"v\"" }, { "TTL b", "9" }, { "EXISTS a", "0" },
      { "RENAME b b", "OK" }, { "RENAMENX b b", "0" }, { "TTL b", "9" }, { "HSET h f 1 g 2", "2" },
      { "HINCRBY h f 4", "5" }, { "EXPIRE h 7", "1" }, { "RENAME h b", "OK" },
      { "HGETALL b", "~[\"2\" \"5\" \"f\" \"g\"]" }, { "TTL b", "7" }, { "SADD s x", "1" },
      { "RENAMENX s b", "0" }, { "RENAMENX s t", "1" }, { "SMEMBERS t", "[\"x\"]" },
      { "INCR c", "1" }, { "INCR c", "2" }, { "RENAME c d", "OK" }, { "INCR d", "3" },
      { "INCR c", "1" })

STEPS(copies, { "COPY n m", "0" }, { "SET a v EX 9", "OK" }, { "COPY a b", "1" },
      { "GET b", "\"v\"" }, { "TTL b", "9" }, { "SADD s x", "1" }, { "COPY s b", "0" },
      { "COPY s b REPLACE", "1" }, { "SMEMBERS b", "[\"x\"]" }, { "TTL b", "-1" },
      { "COPY a a", "-ERR source and destination objects are the same" }, { "COPY a a DB 1", "1" },
      { "COPY a b DB 16", "-ERR DB index is out of range" }, { "COPY a b DB x", NOT_INTEGER },
      { "COPY a b DB", SYNTAX }, { "MOVE a 1", "0" }, { "MOVE s 1", "1" }, { "EXISTS s", "0" },
      { "MOVE n 1", "0" }, { "MOVE a 0", "-ERR source and destination objects are the same" },
      { "MOVE a 99", "-ERR DB index is out of range" }, { "SELECT 1", "OK" }, { "GET a", "\"v\"" },
      { "TTL a", "9" }, { "SMEMBERS s", "[\"x\"]" }, { "FLUSHDB ASYNC", "OK" }, { "DBSIZE", "0" },
      { "SELECT 0", "OK" }, { "DBSIZE", "2" }, { "FLUSHALL BAD", SYNTAX }, { "FLUSHALL", "OK" },
      { "DBSIZE", "0" }, { "KEYS *", "[]" })

STEPS(scans, { "SCAN 0", "[\"0\" []]" }, { "MSET ab 1 ac 2 b 3", "OK" }, { "SADD s xa xb y", "3" },
      { "HSET h f1 v1 f2 v2", "2" }, { "KEYS a*", "~[\"ab\" \"ac\"]" },
      { "KEYS [^a]", "~[\"b\" \"h\" \"s\"]" }, { "SCAN 0 COUNT 1000 TYPE set", "[\"0\" [\"s\"]]" },
      { "SCAN 0 COUNT 1000 MATCH ?b", "[\"0\" [\"ab\"]]" },
      { "SCAN 0 COUNT 1000 TYPE nosuch", "[\"0\" []]" }, { "SCAN x", "-ERR invalid cursor" },
      { "SCAN 0 COUNT 0", SYNTAX }, { "SCAN 0 COUNT x", NOT_INTEGER }, { "SCAN 0 BAD", SYNTAX },
      { "SCAN 0 MATCH", SYNTAX }, { "HSCAN h 0 MATCH *1", "[\"0\" [\"f1\" \"v1\"]]" },
      { "SSCAN s 0 COUNT 100 MATCH y", "[\"0\" [\"y\"]]" }, { "SSCAN n 0 BAD", "[\"0\" []]" },
      { "SSCAN s 0 TYPE set", SYNTAX }, { "SSCAN h 0", WRONG_TYPE }, { "PEXPIRE s 1", "1" },
      { "@2", "" }, { "KEYS s", "[]" }, { "SCAN 0 COUNT 1000 TYPE set", "[\"0\" []]" })

STEPS(object_answers, { "OBJECT ENCODING n", "nil" }, { "SET k 12", "OK" },
      { "OBJECT ENCODING k", "\"int\"" }, { "SADD s 1 2", "2" },
      { "OBJECT ENCODING s", "\"intset\"" }, { "SADD s a", "1" },
      { "OBJECT ENCODING s", "\"hashtable\"" }, { "HSET h f v", "1" },
      { "OBJECT ENCODING h", "\"listpack\"" }, { "OBJECT REFCOUNT k", "1" },
      { "OBJECT ENCODING", "-ERR wrong number of arguments for 'object|encoding' command" },
      { "OBJECT NOSUCH", "-ERR unknown subcommand 'NOSUCH'. Try OBJECT HELP." })

TEST(resp3_has_maps_sets_and_nulls)
{
    static const struct step steps[] = {
        { "HSET h f v", "1" },
        { "SADD s a", "1" },
        { "MSET a x b x", "OK" },
        { "HGETALL h", "{\"f\" \"v\"}" },
        { "HGETALL n", "{}" },
        { "SMEMBERS s", "(\"a\")" },
        { "SINTER s n", "()" },
        { "SUNION s", "(\"a\")" },
        { "SRANDMEMBER s 5", "[\"a\"]" },
        { "SPOP n 2", "()" },
        { "HRANDFIELD h 1 WITHVALUES", "[[\"f\" \"v\"]]" },
        { "HRANDFIELD h -2", "[\"f\" \"f\"]" },
        { "GET n", "nil" },
        { "INCRBYFLOAT c 1.5", "\"1.5\"" },
        { "LCS a b IDX", "{\"matches\" [[[0 0] [0 0]]] \"len\" 1}" },
        { "HSCAN h 0", "[\"0\" [\"f\" \"v\"]]" },
        { "SPOP s 1", "(\"a\")" },
    };

    open_world();
    world.session.reply.protocol = 3;
    for (size_t i = 0; i < COUNT_OF(steps) && run_step(&steps[i]); i++)
        continue;
    close_world();
}

/* --- what lines cannot say --- */

/* Runs "SCAN cursor COUNT 7" to its end, marking what it tells; returns false when it tells what is
 * no "k<number>". */
static bool scan_all(bool *seen, size_t count)
{
    char line[64];
    uint64_t cursor = 0;

    do {
        snprintf(line, sizeof(line), "SCAN %llu COUNT 7", (unsigned long long)cursor);
        execute(line);
        struct span in = span_skip(buffer_span(&world.session.output), 4); /* "*2\r\n" */
        int64_t len = number(&in);
        cursor = strtoull((const char *)in.at, NULL, 10);
        in = span_skip(in, (size_t)len + 2);
        for (int64_t n = number(&in); n > 0; n--) {
            len = number(&in);
            size_t key = strtoull((const char *)in.at + 1, NULL, 10);
            if (key >= count)
                return false;
            seen[key] = true;
            in = span_skip(in, (size_t)len + 2);
        }
    } while (cursor != 0);
    return true;
}

TEST(scanning_tells_every_key)
{
    enum { KEYS = 3000 };
    static bool seen[KEYS];
    char line[32];

    open_world();
    for (int i = 0; i < KEYS; i++) {
        snprintf(line, sizeof(line), "SET k%d v", i);
        execute(line);
        if (i % 1000 == 0)
            turn(1);
    }
    EXPECT(scan_all(seen, KEYS));
    for (int i = 0; i < KEYS; i++)
        EXPECT(seen[i]);
    execute("FLUSHALL");
    EXPECT(world.session.wrote);
    EXPECT_REPLY("DBSIZE", "0");
    EXPECT_EQ(world.replica.databases[0].keys.count, 0);
    close_world();
}

TEST(random_members_differ_and_are_members)
{
    char line[32];

    open_world();
    for (int i = 0; i < 100; i++) {
        snprintf(line, sizeof(line), "SADD s %d", i);
        execute(line);
    }
    for (int count = 1; count <= 100; count += 9) {
        snprintf(line, sizeof(line), "SRANDMEMBER s %d", count);
        execute(line);
        struct span in = buffer_span(&world.session.output);
        bool seen[100] = { false };
        EXPECT_EQ(number(&in), count);
        for (int i = 0; i < count; i++) {
            int64_t len = number(&in);
            size_t member = strtoull((const char *)in.at, NULL, 10);
            EXPECT(member < 100 && !seen[member]);
            seen[member] = true;
            in = span_skip(in, (size_t)len + 2);
        }
    }
    execute("SPOP s 40");
    EXPECT_REPLY("SCARD s", "60");
    close_world();
}

TEST(a_reply_that_grows_past_the_limit_closes_the_session)
{
    open_world();
    world.server.settings.output_buffer_bytes = 1 << 16;
    execute("SADD s member");
    execute("SRANDMEMBER s -9223372036854775807");
    EXPECT(world.session.killed);
    EXPECT(world.session.output.len < 1 << 17);
    close_world();
}

/* Runs a line, with its last words 300 times, where a reply may have 64 KiB; "v1" and the field "f"
 * of "h" have 16. */
static bool is_cut(const char *head, const char *repeated)
{
    struct buffer line = { 0 };

    open_world();
    execute("SETRANGE v1 16383 x");
    execute("GETRANGE v1 0 -1");
    buffer_put_text(&line, "HSET h f ");
    for (int i = 0; i < 16384; i++)
        buffer_put_u8(&line, 'x');
    buffer_put_u8(&line, 0);
    execute((const char *)line.at);
    execute("RPUSH l 1");
    world.server.settings.output_buffer_bytes = 1 << 16;
    buffer_clear(&line);
    buffer_put_text(&line, head);
    for (int i = 0; i < 300; i++)
        buffer_printf(&line, " %s", repeated);
    buffer_put_u8(&line, 0);
    execute((const char *)line.at);
    bool cut = world.session.killed && world.session.output.len < 1 << 17;
    buffer_release(&line);
    close_world();
    return cut;
}

TEST(what_is_named_again_and_again_is_not_replied_without_end)
{
    EXPECT(is_cut("MGET", "v1"));
    EXPECT(is_cut("HMGET h", "f"));
    EXPECT(is_cut("SORT_RO l BY nosort", "GET v*"));
    EXPECT(is_cut("COMMAND DOCS", "config"));
    EXPECT(is_cut("COMMAND INFO", "config"));
}

TEST(what_sort_would_store_is_gathered_only_as_far_as_it_is_not_refused)
{
    open_world();
    execute("SETRANGE v1 20000000 x");
    for (int i = 0; i < 2000; i++)
        execute("RPUSH l 1");
    EXPECT_REPLY("SORT l BY nosort GET # GET v* STORE to",
                 "-ERR one command may write at most 64 MB (group.max): split it");
    EXPECT_REPLY("SORT l BY nosort LIMIT 0 2 GET # GET v* STORE to", "4");
    close_world();
}

TEST(adding_what_is_there_is_an_effect_and_removing_what_is_absent_is_none)
{
    open_world();
    execute("SADD s a");
    execute("HSET h f v");
    execute("SADD s a");
    EXPECT(world.session.wrote);
    execute("HSET h f v");
    EXPECT(world.session.wrote);
    execute("SREM s b");
    EXPECT(!world.session.wrote);
    execute("HDEL h g");
    EXPECT(!world.session.wrote);
    execute("DEL n");
    EXPECT(!world.session.wrote);
    execute("PERSIST s");
    EXPECT(!world.session.wrote);
    execute("SMOVE s s a");
    EXPECT(!world.session.wrote);
    execute("RENAME s s");
    EXPECT(!world.session.wrote);
    close_world();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
