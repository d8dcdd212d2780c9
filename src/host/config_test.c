#include "host/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/test.h"

#ifndef CONFIG_EXAMPLES
#error "CONFIG_EXAMPLES names the folder of the examples"
#endif

/* A good file, one line each, to which the tests add what they try. */
#define ONE_REGION                                                                                 \
    "deployment: shop\n"                                                                           \
    "regions:\n"                                                                                   \
    "  - name: us-east\n"                                                                          \
    "    clients: 127.0.0.1:7001\n"                                                                \
    "    peers: 127.0.0.1:8001\n"
#define TWO_REGIONS                                                                                \
    ONE_REGION                                                                                     \
    "  - name: eu-de\n"                                                                            \
    "    clients: 127.0.0.1:7002\n"                                                                \
    "    peers: 127.0.0.1:8002\n"

/* The errors of a text, "" when it is good; good until the next call. */
static struct span errors_of(const char *text)
{
    static struct buffer errors;
    struct deployment d;
    buffer_release(&errors);
    if (config_parse("f.yaml", span_str(text), &d, &errors))
        deployment_release(&d);
    return buffer_span(&errors);
}

#define EXPECT_ERRORS(text, errors) EXPECT_TEXT(errors_of(text), errors)

static bool parses(const char *text, struct deployment *d)
{
    struct buffer errors = { 0 };
    bool good = config_parse("f.yaml", span_str(text), d, &errors);
    buffer_release(&errors);
    return good;
}

TEST(every_field_is_read)
{
    struct deployment d;
    EXPECT(parses("deployment: shop\n"
                  "regions:\n"
                  "  - name: us-east\n"
                  "    id: 7\n"
                  "    city: Washington DC\n"
                  "    location: [38.91, -77.04]\n"
                  "    timezone: America/New_York\n"
                  "    jurisdiction: [us, dc]\n"
                  "    clients: 0.0.0.0:6379\n"
                  "    peers:   10.0.0.1:6380\n"
                  "    http:    '[::1]:6381'\n"
                  "closed: [1, 2, 255]\n"
                  "topology: mesh\n"
                  "keyspaces:\n"
                  "  - prefix: ''\n"
                  "    mode: active-active\n"
                  "    conflict: lww\n"
                  "    acks: async\n"
                  "    ack_timeout: 2s\n"
                  "    reads: local\n"
                  "    elsewhere: forward\n"
                  "    streams: closed\n"
                  "    evict: drop\n"
                  "    fence: global\n"
                  "shards: 1\n"
                  "log: { fsync: no, retain: 3GB }\n"
                  "checkpoint: { log: 12MB, every: 90s }\n"
                  "memory: { limit: 256MB, policy: volatile-ttl }\n"
                  "bootstrap: { rate: 3MB }\n"
                  "clock: { max_skew: 250ms }\n"
                  "limits: { clients: 50, query_buffer: 2MB, output_buffer: 128KB }\n",
                  &d));
    EXPECT_TEXT(span_str(d.name), "shop");
    EXPECT_EQ(d.region_count, 1);
    const struct region *r = &d.regions[0];
    EXPECT_TEXT(span_str(r->name), "us-east");
    EXPECT_EQ(r->id, 7);
    EXPECT_TEXT(span_str(r->city), "Washington DC");
    EXPECT(r->located && r->latitude == 38.91 && r->longitude == -77.04);
    EXPECT_TEXT(span_str(r->timezone), "America/New_York");
    EXPECT_EQ(r->jurisdiction_count, 2);
    EXPECT_TEXT(span_str(r->jurisdictions[1]), "dc");
    EXPECT_TEXT(span_str(r->clients.host), "0.0.0.0");
    EXPECT_EQ(r->peers.port, 6380);
    EXPECT_TEXT(span_str(r->http.host), "::1");
    EXPECT_EQ(d.keyspace_count, 1);
    EXPECT_EQ(d.keyspaces[0].promises.ack_timeout_ms, 2000);
    EXPECT_EQ(d.keyspaces[0].promises.streams, KEYSPACE_STREAMS_CLOSED);
    EXPECT_EQ(d.keyspaces[0].evict, KEYSPACE_EVICT_DROP);
    for (unsigned o = 0; o < 256; o++)
        EXPECT(deployment_closes(&d, (uint8_t)o) == (o == 1 || o == 2 || o == 255));
    EXPECT_EQ(d.log.fsync, FSYNC_NO);
    EXPECT_EQ(d.log.retain_bytes, 3ll << 30);
    EXPECT_EQ(d.checkpoint.log_bytes, 12 << 20);
    EXPECT_EQ(d.checkpoint.every_ms, 90000);
    EXPECT_EQ(d.memory.limit_bytes, 256 << 20);
    EXPECT_EQ(d.memory.policy, MEMORY_VOLATILE_TTL);
    EXPECT_EQ(d.bootstrap_rate_bytes, 3 << 20);
    EXPECT_EQ(d.max_skew_ms, 250);
    EXPECT_EQ(d.limits.clients, 50);
    EXPECT_EQ(d.limits.query_buffer_bytes, 2 << 20);
    EXPECT_EQ(d.limits.output_buffer_bytes, 128 << 10);
    deployment_release(&d);
}

TEST(what_is_left_out_has_its_default)
{
    struct deployment d;
    EXPECT(parses(TWO_REGIONS, &d));
    EXPECT_EQ(d.regions[0].id, 1);
    EXPECT_EQ(d.regions[1].id, 2);
    EXPECT(!d.regions[1].located);
    EXPECT_TEXT(span_str(d.regions[1].timezone), "UTC");
    EXPECT_TEXT(span_str(d.regions[1].city), "");
    EXPECT_EQ(d.regions[1].http.port, 0);
    EXPECT_EQ(d.topology, TOPOLOGY_MESH);
    EXPECT_EQ(d.fence_count, 1);
    EXPECT(fence_holds(&d.fences[0], 1) && fence_holds(&d.fences[0], 2));
    EXPECT_EQ(d.keyspace_count, 1);
    EXPECT_EQ(d.keyspaces[0].promises.streams, KEYSPACE_STREAMS_LATEST);
    EXPECT_EQ(d.keyspaces[0].evict, KEYSPACE_EVICT_DEMOTE);
    EXPECT(!(d.closed[0] | d.closed[1] | d.closed[2] | d.closed[3]));
    EXPECT_EQ(d.checkpoint.log_bytes, 64 << 20);
    EXPECT_EQ(d.checkpoint.every_ms, 300000);
    EXPECT_EQ(d.memory.limit_bytes, 0);
    EXPECT_EQ(d.memory.policy, MEMORY_NOEVICTION);
    EXPECT_EQ(d.bootstrap_rate_bytes, 64 << 20);
    EXPECT_EQ(d.shards, 1);
    EXPECT_EQ(d.log.fsync, FSYNC_EVERYSEC);
    EXPECT_EQ(d.log.retain_bytes, 16ll << 30);
    EXPECT_EQ(d.max_skew_ms, 500);
    EXPECT_EQ(d.limits.clients, 10000);
    EXPECT_EQ(d.limits.query_buffer_bytes, 1 << 30);
    EXPECT_EQ(d.limits.output_buffer_bytes, 256 << 20);
    deployment_release(&d);
}

TEST(fields_may_come_in_any_order)
{
    EXPECT_ERRORS("keyspaces: [{prefix: x, fence: global}]\n"
                  "fences: {here: [a]}\n"
                  "regions: [{clients: 7001, name: a}]\n"
                  "deployment: d\n",
                  "");
}

TEST(all_errors_are_reported_in_the_order_of_the_file)
{
    EXPECT_ERRORS(
        "limits: { clients: many }\n"
        "deployment: shop\n"
        "regions:\n"
        "  - name: us east\n"
        "    clients: 127.0.0.1\n"
        "colour: red\n",
        "f.yaml:1: limits.clients: expected a whole number, got \"many\"\n"
        "f.yaml:4: regions[0].name: \"us east\" may hold only letters, digits, '-', '_' and '.'\n"
        "f.yaml:5: regions[0].clients: \"127.0.0.1\" is not HOST:PORT\n"
        "f.yaml:6: colour: unknown field\n");
}

TEST(unknown_fields_suggest_the_one_that_was_meant)
{
    EXPECT_ERRORS(ONE_REGION "    citty: X\n",
                  "f.yaml:6: regions[0].citty: unknown field; did you mean \"city\"?\n");
    EXPECT_ERRORS(ONE_REGION "keyspace: []\n",
                  "f.yaml:6: keyspace: unknown field; did you mean \"keyspaces\"?\n");
    EXPECT_ERRORS(ONE_REGION "log: { fsnyc: no }\n",
                  "f.yaml:6: log.fsnyc: unknown field; did you mean \"fsync\"?\n");
}

TEST(wrong_types_are_named)
{
    EXPECT_ERRORS("deployment: [shop]\nregions: none\n",
                  "f.yaml:1: deployment: expected a name, got a list\n"
                  "f.yaml:2: regions: expected a list of regions, got \"none\"\n");
    EXPECT_ERRORS("- a\n", "f.yaml:1: expected a map of fields, got a list\n");
    EXPECT_ERRORS(ONE_REGION "log: everysec\nclock: []\nkeyspaces: {}\nfences: []\n",
                  "f.yaml:6: log: expected a map of fields, got \"everysec\"\n"
                  "f.yaml:7: clock: expected a map of fields, got a list\n"
                  "f.yaml:8: keyspaces: expected a list of keyspaces, got a map\n"
                  "f.yaml:9: fences: expected a map of fences to lists of regions, got a list\n");
    EXPECT_ERRORS(ONE_REGION
                  "    id: {a: b}\n    jurisdiction: us\n    location: here\n    http: [a]\n",
                  "f.yaml:6: regions[0].id: expected a whole number, got a map\n"
                  "f.yaml:7: regions[0].jurisdiction: expected a list of names, got \"us\"\n"
                  "f.yaml:8: regions[0].location: expected [latitude, longitude], got \"here\"\n"
                  "f.yaml:9: regions[0].http: expected HOST:PORT, got a list\n");
    EXPECT_ERRORS("deployment:\nregions: [x]\n",
                  "f.yaml:1: deployment: expected a name, got nothing\n"
                  "f.yaml:2: regions[0]: expected a map of fields, got \"x\"\n");
}

/* Found by host/config_fuzz.c: the name of a field may be any text. */
TEST(a_problem_is_one_line_whatever_it_quotes)
{
    EXPECT_ERRORS(TWO_REGIONS "\"to\\npology\": mesh\n",
                  "f.yaml:9: to?pology: unknown field; did you mean \"topology\"?\n");
}

TEST(duplicate_keys_are_errors)
{
    EXPECT_ERRORS("deployment: a\n" ONE_REGION,
                  "f.yaml:2: \"deployment\" is given twice, first in line 1\n");
}

TEST(a_deployment_needs_a_name_and_regions)
{
    EXPECT_ERRORS(
        "",
        "f.yaml:1: empty; a configuration begins with \"deployment: NAME\" and its \"regions:\"\n");
    EXPECT_ERRORS("shards: 1\n", "f.yaml:1: missing required field \"deployment\"\n"
                                 "f.yaml:1: missing required field \"regions\"\n");
    EXPECT_ERRORS("deployment: shop\nregions: []\n",
                  "f.yaml:2: regions: a deployment needs at least one region\n");
}

TEST(regions_need_a_name_and_addresses)
{
    EXPECT_ERRORS("deployment: shop\n"
                  "regions:\n"
                  "  - id: 1\n"
                  "  - name: eu-de\n"
                  "    clients: 127.0.0.1:7002\n",
                  "f.yaml:3: regions[0]: missing required field \"name\"\n"
                  "f.yaml:3: regions[0]: missing required field \"clients\"\n"
                  "f.yaml:3: regions[0]: missing required field \"peers\": the address that the "
                  "other regions dial\n"
                  "f.yaml:4: regions[1]: missing required field \"peers\": the address that the "
                  "other regions dial\n");
}

TEST(region_names_and_ids_are_unique)
{
    EXPECT_ERRORS(ONE_REGION "    id: 2\n"
                             "  - { name: us-east, clients: 7002, peers: 8002 }\n"
                             "  - { name: eu-de, id: 2, clients: 7003, peers: 8003 }\n",
                  "f.yaml:7: regions[1]: there is already a region named \"us-east\"\n"
                  "f.yaml:7: regions[1]: id 2, its place in the list, is already that of us-east; "
                  "give it another id\n"
                  "f.yaml:8: regions[2]: id 2 is already that of us-east\n");
}

TEST(ids_are_within_their_range)
{
    EXPECT_ERRORS(ONE_REGION "    id: 0\n", "f.yaml:6: regions[0].id: 0 is out of range 1..255\n");
    EXPECT_ERRORS(ONE_REGION "    id: 256\n",
                  "f.yaml:6: regions[0].id: 256 is out of range 1..255\n");
    EXPECT_ERRORS(ONE_REGION "    id: -1\n",
                  "f.yaml:6: regions[0].id: -1 is out of range 1..255\n");
    EXPECT_ERRORS(ONE_REGION "    id: 255\n", "");
}

TEST(closed_numbers_are_listed_once_and_are_no_regions)
{
    EXPECT_ERRORS(ONE_REGION "closed: []\n", "");
    EXPECT_ERRORS(ONE_REGION "    id: 7\nclosed: [1]\n", "");
    EXPECT_ERRORS(
        "closed: [2, 9]\n" TWO_REGIONS,
        "f.yaml:1: closed: 2 is the id of eu-de: a number that was given up is never used "
        "again; give that region another id\n");
    EXPECT_ERRORS(ONE_REGION "closed: [3, 4, 3]\n", "f.yaml:6: closed: 3 is listed twice\n");
    EXPECT_ERRORS(ONE_REGION "closed:\n  - 0\n  - 256\n  - us-west\n  - [5]\n",
                  "f.yaml:7: closed: 0 is out of range 1..255\n"
                  "f.yaml:8: closed: 256 is out of range 1..255\n"
                  "f.yaml:9: closed: expected a whole number, got \"us-west\"\n"
                  "f.yaml:10: closed: expected the number of a region that was given up, got a "
                  "list\n");
    EXPECT_ERRORS(ONE_REGION "closed: 3\n",
                  "f.yaml:6: closed: expected a list of numbers, got \"3\"\n");
}

TEST(two_regions_of_one_machine_have_their_own_ports)
{
    EXPECT_ERRORS(
        TWO_REGIONS "    http: 127.0.0.1:7001\n",
        "f.yaml:9: regions[1]: http 127.0.0.1:7001 is already the clients address of us-east\n");
    EXPECT_ERRORS(
        ONE_REGION "    http: 0.0.0.0:7001\n",
        "f.yaml:6: regions[0]: http 0.0.0.0:7001 is already the clients address of this region\n");
}

TEST(regions_of_several_machines_may_use_the_same_private_addresses)
{
    static const char REGIONS[] =
        "deployment: shop\n"
        "regions:\n"
        "  - { name: a, clients: '0.0.0.0:6379', peers: '10.0.0.1:1', http: 9000 }\n"
        "  - { name: b, clients: '0.0.0.0:6379', peers: '10.0.0.%d:1', http: 9000 }\n";
    char text[sizeof(REGIONS)];
    snprintf(text, sizeof(text), REGIONS, 2);
    EXPECT_ERRORS(text, "");
    snprintf(text, sizeof(text), REGIONS, 1);
    EXPECT_ERRORS(text,
                  "f.yaml:4: regions[1]: clients 0.0.0.0:6379 is already the clients address of a\n"
                  "f.yaml:4: regions[1]: peers 10.0.0.1:1 is already the peers address of a\n"
                  "f.yaml:4: regions[1]: http 127.0.0.1:9000 is already the http address of a\n");
}

TEST(places_lie_on_the_globe)
{
    EXPECT_ERRORS(ONE_REGION "    location: [90.5, 181]\n",
                  "f.yaml:6: regions[0].location: latitude 90.5 is out of range -90..90\n"
                  "f.yaml:6: regions[0].location: longitude 181 is out of range -180..180\n");
    EXPECT_ERRORS(ONE_REGION "    location: [90]\n",
                  "f.yaml:6: regions[0].location: expected [latitude, longitude]\n");
    EXPECT_ERRORS(ONE_REGION "    location: [1, nan]\n",
                  "f.yaml:6: regions[0].location: expected degrees, got \"nan\"\n");
    EXPECT_ERRORS(ONE_REGION "    location: [-90, 180]\n", "");
    EXPECT_ERRORS(ONE_REGION "    timezone: Middle Earth\n",
                  "f.yaml:6: regions[0].timezone: \"Middle Earth\" is not the name of a time zone, "
                  "such as Europe/Berlin\n");
}

TEST(ports_are_within_their_range)
{
    EXPECT_ERRORS(
        "deployment: a\nregions: [{name: a, clients: 'h:0', peers: 'h:65536', http: 'h:x'}]\n",
        "f.yaml:2: regions[0].clients: \"h:0\" has a port out of range 1..65535\n"
        "f.yaml:2: regions[0].peers: \"h:65536\" has a port out of range 1..65535\n"
        "f.yaml:2: regions[0].http: \"h:x\" is not HOST:PORT\n");
}

TEST(durations_and_sizes_carry_units)
{
    EXPECT_ERRORS(
        ONE_REGION "clock: { max_skew: 500 }\n",
        "f.yaml:6: clock.max_skew: \"500\" has no unit; a duration ends in ms, s, m or h\n");
    EXPECT_ERRORS(
        ONE_REGION "clock: { max_skew: 5us }\n",
        "f.yaml:6: clock.max_skew: \"us\" is not a unit; a duration ends in ms, s, m or h\n");
    EXPECT_ERRORS(ONE_REGION "clock: { max_skew: soon }\n",
                  "f.yaml:6: clock.max_skew: expected a duration such as 500ms, got \"soon\"\n");
    EXPECT_ERRORS(ONE_REGION "clock: { max_skew: 2h }\n",
                  "f.yaml:6: clock.max_skew: 2h is out of range 10ms..1m\n");
    EXPECT_ERRORS(ONE_REGION "log: { retain: 16 }\n",
                  "f.yaml:6: log.retain: \"16\" has no unit; a size ends in B, KB, MB or GB\n");
    EXPECT_ERRORS(ONE_REGION "log: { retain: 16TB }\n",
                  "f.yaml:6: log.retain: \"TB\" is not a unit; a size ends in B, KB, MB or GB\n");
    EXPECT_ERRORS(ONE_REGION "log: { retain: 9223372036854775807GB }\n",
                  "f.yaml:6: log.retain: 9223372036854775807GB is out of range 1MB..1048576GB\n");
    EXPECT_ERRORS(
        ONE_REGION "log: { retain: 99999999999999999999B }\n",
        "f.yaml:6: log.retain: expected a size such as 64MB, got \"99999999999999999999B\"\n");
    EXPECT_ERRORS(ONE_REGION "memory: { limit: 0 }\n", "");
    EXPECT_ERRORS(ONE_REGION "memory: { limit: 48MB }\n", "");
    EXPECT_ERRORS(ONE_REGION "memory: { limit: 47MB }\n",
                  "f.yaml:6: memory.limit: an empty region takes 10MB, and needs room to work: at "
                  "least 48MB, or 0 for no limit\n");
    EXPECT_ERRORS(ONE_REGION "clock: { max_skew: 0 }\n",
                  "f.yaml:6: clock.max_skew: 0 is out of range 10ms..1m\n");
    EXPECT_ERRORS(ONE_REGION "checkpoint: { log: 1KB, every: 1ms }\nbootstrap: { rate: 1 }\n",
                  "f.yaml:6: checkpoint.log: 1KB is out of range 1MB..1024GB\n"
                  "f.yaml:6: checkpoint.every: 1ms is out of range 1s..24h\n"
                  "f.yaml:7: bootstrap.rate: \"1\" has no unit; a size ends in B, KB, MB or GB\n");
    EXPECT_ERRORS(ONE_REGION "limits: { query_buffer: 1B, clients: 0 }\n",
                  "f.yaml:6: limits.clients: 0 is out of range 1..1000000\n"
                  "f.yaml:6: limits.query_buffer: 1B is out of range 64KB..1024GB\n");
}

TEST(words_are_among_those_that_are_known)
{
    EXPECT_ERRORS(ONE_REGION "log: { fsync: alwyas }\n",
                  "f.yaml:6: log.fsync: \"alwyas\" is not one of: always, everysec, no; did you "
                  "mean \"always\"?\n");
    EXPECT_ERRORS(ONE_REGION "log: { fsync: 1 }\n",
                  "f.yaml:6: log.fsync: \"1\" is not one of: always, everysec, no\n");
    EXPECT_ERRORS(ONE_REGION "memory: { policy: lru }\n",
                  "f.yaml:6: memory.policy: \"lru\" is not one of: noeviction, allkeys-lru, "
                  "allkeys-lfu, allkeys-random, volatile-lru, volatile-lfu, volatile-ttl, "
                  "volatile-random\n");
    EXPECT_ERRORS(ONE_REGION "keyspaces: [{ prefix: 'x:', evict: dropp }]\n",
                  "f.yaml:6: keyspaces[0].evict: \"dropp\" is not one of: demote, drop, local; did "
                  "you mean \"drop\"?\n");
    EXPECT_ERRORS(ONE_REGION "keyspaces: [{ prefix: 'x:', streams: close }]\n",
                  "f.yaml:6: keyspaces[0].streams: \"close\" is not one of: latest, closed; did "
                  "you mean \"closed\"?\n");
}

TEST(fences_name_regions_that_exist)
{
    EXPECT_ERRORS(
        TWO_REGIONS "fences:\n  gdpr: [eu-de, eu-dd]\n",
        "f.yaml:10: fences.gdpr: there is no region \"eu-dd\"; did you mean \"eu-de\"?\n");
    EXPECT_ERRORS(
        TWO_REGIONS
        "fences:\n  gdpr: [eu-de, eu-de]\n  none: []\n  global: [eu-de]\n  a b: [eu-de]\n  c: x\n",
        "f.yaml:10: fences.gdpr: eu-de is listed twice\n"
        "f.yaml:11: fences.none: a fence needs at least one region\n"
        "f.yaml:12: fences.global: the fence of that name holds every region, and is always there\n"
        "f.yaml:13: fences.a b: \"a b\" may hold only letters, digits, '-', '_' and '.'\n"
        "f.yaml:14: fences.c: expected a list of regions, got \"x\"\n");
    struct deployment d;
    EXPECT(parses(TWO_REGIONS "fences:\n  gdpr: [eu-de]\n", &d));
    EXPECT_EQ(d.fence_count, 2);
    EXPECT_TEXT(span_str(d.fences[1].name), "gdpr");
    EXPECT(fence_holds(&d.fences[1], 2) && !fence_holds(&d.fences[1], 1));
    deployment_release(&d);
}

TEST(keyspaces_name_fences_that_exist)
{
    EXPECT_ERRORS(
        ONE_REGION "fences: { gdpr: [us-east] }\nkeyspaces: [{ prefix: a, fence: gdrp }]\n",
        "f.yaml:7: keyspaces[0].fence: there is no fence \"gdrp\"; did you mean \"gdpr\"?\n");
    EXPECT_ERRORS(ONE_REGION "keyspaces: [{ prefix: a, fence: gdpr }]\n",
                  "f.yaml:6: keyspaces[0].fence: there is no fence \"gdpr\"\n");
}

TEST(prefixes_are_given_once)
{
    EXPECT_ERRORS(ONE_REGION "keyspaces:\n  - prefix: a\n  - prefix: ''\n  - prefix: a\n  - "
                             "prefix:\n  - mode: active-active\n",
                  "f.yaml:9: keyspaces[2]: there is already a keyspace with the prefix \"a\"\n"
                  "f.yaml:10: keyspaces[3].prefix: expected a text, got nothing; write \"\" for "
                  "every other key\n"
                  "f.yaml:11: keyspaces[4]: missing required field \"prefix\"\n");
}

TEST(what_this_version_cannot_do_is_refused)
{
    EXPECT_ERRORS(
        TWO_REGIONS "shards: 4\n"
                    "fences: { gdpr: [eu-de] }\n"
                    "keyspaces:\n"
                    "  - prefix: ''\n"
                    "    mode: follow-the-sun\n"
                    "    fence: gdpr\n",
        "f.yaml:9: shards: 4 is not supported by this version; use 1\n"
        "f.yaml:13: keyspaces[0].mode: \"follow-the-sun\" is not supported by this version; use "
        "active-active, primary or partitioned\n");
}

TEST(topologies_are_words_or_maps_with_what_belongs_to_them)
{
    static const char *const WORDS[] = { "mesh", "ring", "star", "chain", "hierarchy", "auto" };
    struct deployment d;
    for (size_t i = 0; i < COUNT_OF(WORDS); i++) {
        char text[512];
        snprintf(text, sizeof(text), TWO_REGIONS "topology: %s\n", WORDS[i]);
        EXPECT(parses(text, &d));
        EXPECT_EQ(d.topology, (int)(TOPOLOGY_MESH + i));
        EXPECT_EQ(d.centre, 0);
        deployment_release(&d);
    }
    EXPECT(parses(TWO_REGIONS "topology: { kind: star, centre: eu-de }\n", &d));
    EXPECT_EQ(d.topology, TOPOLOGY_STAR);
    EXPECT_EQ(d.centre, 2);
    deployment_release(&d);
}

TEST(topologies_that_are_wrong_are_told)
{
    EXPECT_ERRORS(
        TWO_REGIONS "topology: strar\n",
        "f.yaml:9: topology: \"strar\" is not one of: mesh, ring, star, chain, hierarchy, "
        "auto; did you mean \"star\"?\n");
    EXPECT_ERRORS(TWO_REGIONS "topology: [star]\n",
                  "f.yaml:9: topology: expected a word, got a list\n");
    EXPECT_ERRORS(
        TWO_REGIONS "topology: { kind: star, centre: eu-dd, center: eu-de }\n",
        "f.yaml:9: topology.center: unknown field; did you mean \"centre\"?\n"
        "f.yaml:9: topology.centre: there is no region \"eu-dd\"; did you mean \"eu-de\"?\n");
    EXPECT_ERRORS(TWO_REGIONS "topology:\n  kind: ring\n  centre: eu-de\n",
                  "f.yaml:11: topology.centre: a centre is only used with kind: star\n");
    EXPECT_ERRORS(TWO_REGIONS "topology:\n  centre: eu-de\n",
                  "f.yaml:9: topology: missing required field \"kind\"\n");
    EXPECT_ERRORS(TWO_REGIONS "topology: { kind: strr, centre: [eu-de] }\n",
                  "f.yaml:9: topology.kind: \"strr\" is not one of: mesh, ring, star, chain, "
                  "hierarchy, auto; did you mean \"star\"?\n"
                  "f.yaml:9: topology.centre: expected the name of a region, got a list\n");
}

/* Three regions, one line each, with what the arguments say of them. */
#define FAMILY(a, b, c)                                                                            \
    "deployment: shop\n"                                                                           \
    "regions:\n"                                                                                   \
    "  - { name: a, id: 7, clients: 7001, peers: 8001" a " }\n"                                    \
    "  - { name: b, clients: 7002, peers: 8002" b " }\n"                                           \
    "  - { name: c, clients: 7003, peers: 8003" c " }\n"

TEST(parents_are_regions_that_may_stand_further_down)
{
    struct deployment d;
    EXPECT(parses(FAMILY("", ", parent: c", ", parent: a") "topology: hierarchy\n", &d));
    EXPECT_EQ(d.regions[0].parent, 0);
    EXPECT_EQ(d.regions[1].parent, 3);
    EXPECT_EQ(d.regions[2].parent, 7);
    deployment_release(&d);
    EXPECT_ERRORS("topology: hierarchy\n" FAMILY(", parent: [b]", ", parent: x", ", parent:"),
                  "f.yaml:4: regions[0].parent: expected the name of a region, got a list\n"
                  "f.yaml:5: regions[1].parent: there is no region \"x\"; did you mean \"a\"?\n"
                  "f.yaml:6: regions[2].parent: expected the name of a region, got nothing\n");
}

TEST(parents_that_run_in_a_circle_are_told)
{
    EXPECT_ERRORS(FAMILY(", parent: b", ", parent: b", "") "topology: hierarchy\n",
                  "f.yaml:4: regions[1].parent: a region cannot be its own parent\n");
    EXPECT_ERRORS(
        FAMILY(", parent: b", ", parent: c", ", parent: b") "topology: { kind: hierarchy }\n",
        "f.yaml:4: regions[1].parent: c stands below this region itself\n"
        "f.yaml:5: regions[2].parent: b stands below this region itself\n");
}

TEST(parents_belong_to_a_hierarchy)
{
    EXPECT_ERRORS(FAMILY("", ", parent: a", ", parent: c"),
                  "f.yaml:4: regions[1].parent: a parent is only used with topology: hierarchy\n"
                  "f.yaml:5: regions[2].parent: a parent is only used with topology: hierarchy\n");
    EXPECT_ERRORS(FAMILY("", ", parent: a", "") "topology: { kind: auto }\n",
                  "f.yaml:4: regions[1].parent: a parent is only used with topology: hierarchy\n");
    EXPECT_ERRORS(FAMILY("", ", parent: a", "") "topology: heirarchy\n",
                  "f.yaml:6: topology: \"heirarchy\" is not one of: mesh, ring, star, chain, "
                  "hierarchy, auto; did you mean \"hierarchy\"?\n");
    EXPECT_ERRORS("deployment: d\nregions: [x, { name: b, clients: 1, peers: 2, parent: b }]\n",
                  "f.yaml:2: regions[0]: expected a map of fields, got \"x\"\n"
                  "f.yaml:2: regions[1].parent: a parent is only used with topology: hierarchy\n");
}

TEST(levels_are_words_or_numbers_of_acks_and_bounded_has_a_staleness)
{
    struct deployment d;
    EXPECT(parses(TWO_REGIONS "reads: { warn: 3s }\n"
                              "keyspaces:\n"
                              "  - { prefix: aaaa, acks: 1, reads: bounded 5s }\n"
                              "  - { prefix: aaa, acks: quorum, reads: strong }\n"
                              "  - { prefix: aa, acks: semi-sync, reads: causal }\n"
                              "  - { prefix: a, acks: sync, ack_timeout: 250ms }\n",
                  &d));
    EXPECT_EQ(d.reads_warn_ms, 3000);
    EXPECT_EQ(d.keyspaces[0].promises.acks.acks, KEYSPACE_ACK_COUNT);
    EXPECT_EQ(d.keyspaces[0].promises.acks.count, 1);
    EXPECT_EQ(d.keyspaces[0].promises.reads.reads, KEYSPACE_READ_BOUNDED);
    EXPECT_EQ(d.keyspaces[0].promises.reads.staleness_ms, 5000);
    EXPECT_EQ(d.keyspaces[1].promises.acks.acks, KEYSPACE_QUORUM);
    EXPECT_EQ(d.keyspaces[1].promises.reads.reads, KEYSPACE_READ_STRONG);
    EXPECT_EQ(d.keyspaces[2].promises.acks.acks, KEYSPACE_SEMI_SYNC);
    EXPECT_EQ(d.keyspaces[2].promises.reads.reads, KEYSPACE_READ_CAUSAL);
    EXPECT_EQ(d.keyspaces[3].promises.acks.acks, KEYSPACE_SYNC);
    EXPECT_EQ(d.keyspaces[3].promises.ack_timeout_ms, 250);
    deployment_release(&d);
    EXPECT_ERRORS(
        TWO_REGIONS "keyspaces: [{ prefix: a, acks: 2, reads: bounded 5 }]\n",
        "f.yaml:9: keyspaces[0].acks: 2 is out of range 1..1\n"
        "f.yaml:9: keyspaces[0].reads: \"5\" has no unit; a duration ends in ms, s, m or h\n");
    EXPECT_ERRORS(TWO_REGIONS "keyspaces: [{ prefix: a, reads: bounded, merge: m.lua }]\n",
                  "f.yaml:9: keyspaces[0].merge: a merge file is only used with conflict: merge\n"
                  "f.yaml:9: keyspaces[0].reads: \"bounded\" needs how old a read may be, as in: "
                  "bounded 5s\n");
}

TEST(what_a_fence_has_to_do_with_is_judged_by_its_members)
{
    struct deployment d;
    EXPECT(parses(TWO_REGIONS "fences: { all: [us-east, eu-de], one: [eu-de] }\n"
                              "keyspaces:\n"
                              "  - { prefix: a, acks: 1, fence: all, reads: 'bounded:700' }\n",
                  &d));
    EXPECT_EQ(d.keyspaces[0].promises.reads.staleness_ms, 700);
    deployment_release(&d);
    EXPECT_ERRORS(
        TWO_REGIONS "fences: { one: [eu-de] }\n"
                    "keyspaces:\n"
                    "  - { prefix: a, acks: 1, fence: one }\n"
                    "  - { prefix: b, outside: forward }\n"
                    "  - { prefix: c, reads: 'bounded:700x' }\n",
        "f.yaml:11: keyspaces[0].acks: 1 cannot be, no other region holds that keyspace\n"
        "f.yaml:12: keyspaces[1]: outside is only for a keyspace with a fence\n"
        "f.yaml:13: keyspaces[2].reads: expected bounded:<ms>, up to an hour, or a duration as in "
        "bounded 5s, got \"bounded:700x\"\n");
}

TEST(writers_and_homes_belong_to_their_modes)
{
    struct deployment d;
    EXPECT(parses(TWO_REGIONS
                  "fences: { gdpr: [eu-de] }\n"
                  "keyspaces:\n"
                  "  - { prefix: aaaa, mode: primary, writer: eu-de, elsewhere: redirect }\n"
                  "  - { prefix: aaa, mode: primary, fence: gdpr, outside: forward }\n"
                  "  - { prefix: aa, mode: partitioned, readers: [us-east] }\n"
                  "  - { prefix: a, mode: partitioned, homes: directory, directory: dir }\n",
                  &d));
    EXPECT_EQ(d.keyspaces[0].writer, 2);
    EXPECT_EQ(d.keyspaces[0].promises.elsewhere, KEYSPACE_REDIRECT);
    EXPECT_EQ(d.keyspaces[1].writer, 2);
    EXPECT_EQ(d.keyspaces[1].outside, KEYSPACE_THROUGH);
    EXPECT_EQ(d.keyspaces[2].homes, KEYSPACE_HOMES_TAG);
    EXPECT_EQ(d.keyspaces[2].readers[0], 2);
    EXPECT_EQ(d.keyspaces[3].homes, KEYSPACE_HOMES_DIRECTORY);
    EXPECT_TEXT(span_str(d.keyspaces[3].directory), "dir");
    deployment_release(&d);
    EXPECT_ERRORS(TWO_REGIONS "fences: { gdpr: [eu-de] }\n"
                              "keyspaces:\n"
                              "  - { prefix: aaaa, writer: eu-de, homes: hash }\n"
                              "  - { prefix: aaa, mode: primary, fence: gdpr, writer: us-east }\n"
                              "  - { prefix: aa, mode: partitioned, directory: dir }\n"
                              "  - { prefix: a, mode: partitioned, homes: directory }\n",
                  "f.yaml:11: keyspaces[0]: writer is only for mode: primary\n"
                  "f.yaml:11: keyspaces[0]: homes is only for mode: partitioned\n"
                  "f.yaml:12: keyspaces[1]: the writer must be a member of the fence gdpr\n"
                  "f.yaml:13: keyspaces[2]: directory is only for homes: directory\n"
                  "f.yaml:14: keyspaces[3]: homes: directory needs the prefix of its keys, as in: "
                  "directory: \"home:\"\n");
}

TEST(views_of_conflict_are_read_and_merge_needs_a_file_beside_the_configuration)
{
    struct deployment d;
    EXPECT(parses(TWO_REGIONS "keyspaces:\n"
                              "  - { prefix: aa, conflict: siblings, streams: closed }\n"
                              "  - { prefix: b, conflict: merge, merge: functions/cart.lua }\n",
                  &d));
    EXPECT_EQ(d.keyspaces[0].promises.conflict, KEYSPACE_SIBLINGS);
    EXPECT_EQ(d.keyspaces[0].promises.streams, KEYSPACE_STREAMS_CLOSED);
    EXPECT_EQ(d.keyspaces[1].promises.conflict, KEYSPACE_MERGE);
    EXPECT_TEXT(span_str(d.keyspaces[1].merge_file), "functions/cart.lua");
    deployment_release(&d);
    EXPECT_ERRORS(TWO_REGIONS "keyspaces:\n"
                              "  - { prefix: a, conflict: merge }\n"
                              "  - { prefix: b, conflict: merge, merge: ../b.lua }\n"
                              "  - { prefix: c, conflict: merge, merge: a/../../c.lua }\n"
                              "  - { prefix: d, conflict: merge, merge: /d.lua }\n"
                              "  - { prefix: e, conflict: merge, merge: ..e/e..lua }\n",
                  "f.yaml:10: keyspaces[0]: conflict: merge needs the file of a function, as in: "
                  "merge: cart.lua\n"
                  "f.yaml:11: keyspaces[1].merge: a merge file stands in the configuration's "
                  "directory or below it\n"
                  "f.yaml:12: keyspaces[2].merge: a merge file stands in the configuration's "
                  "directory or below it\n"
                  "f.yaml:13: keyspaces[3].merge: a merge file stands in the configuration's "
                  "directory or below it\n");
}

TEST(more_regions_than_ids_are_refused)
{
    struct buffer text = { 0 };
    buffer_put_text(&text, "deployment: big\nregions:\n");
    for (int i = 0; i < 256; i++)
        buffer_printf(&text, "  - { name: r%d, clients: %d, peers: %d }\n", i, 10000 + i,
                      20000 + i);
    buffer_put_u8(&text, 0);
    EXPECT_ERRORS((const char *)text.at,
                  "f.yaml:2: regions: 256 regions are too many (at most 255)\n");
    buffer_release(&text);
}

TEST(a_missing_file_and_a_directory_are_one_line_each)
{
    struct deployment d;
    struct buffer errors = { 0 };
    EXPECT(!config_load("/no/such/f.yaml", &d, &errors));
    EXPECT(!config_load("/tmp", &d, &errors));
    EXPECT_TEXT(buffer_span(&errors), "/no/such/f.yaml: cannot be read: No such file or directory\n"
                                      "/tmp: cannot be read: Is a directory\n");
    buffer_release(&errors);
}

/* The examples as they are shipped: the merge functions that they name are compiled too. */
TEST(every_example_is_a_good_configuration)
{
    static const char *const NAMES[] = { "conflicts.yaml", "loopback.yaml", "three-regions.yaml" };
    for (size_t i = 0; i < COUNT_OF(NAMES); i++) {
        struct buffer path = { 0 }, errors = { 0 };
        struct deployment d;
        buffer_printf(&path, "%s/%s", CONFIG_EXAMPLES, NAMES[i]);
        buffer_put_u8(&path, 0);
        bool good = config_load((const char *)path.at, &d, &errors);
        EXPECT_TEXT(buffer_span(&errors), "");
        EXPECT(good);
        deployment_release(&d);
        buffer_release(&path);
        buffer_release(&errors);
    }
}

/* Writes a file below a new directory, for what is read from a disk. */
static void write_file(const char *path, const char *text, size_t times)
{
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    while (times-- > 0)
        CHECK(fputs(text, file) >= 0);
    CHECK(fclose(file) == 0);
}

TEST(a_merge_file_that_cannot_be_read_is_told_with_its_line_and_its_whole_path)
{
    char dir[] = "/tmp/meridian-config-XXXXXX", config[64], lua[64];
    struct buffer errors = { 0 }, want = { 0 };
    struct deployment d;
    CHECK(mkdtemp(dir) != NULL);
    snprintf(config, sizeof(config), "%s/f.yaml", dir);
    snprintf(lua, sizeof(lua), "%s/long.lua", dir);
    write_file(config,
               TWO_REGIONS "keyspaces:\n"
                           "  - { prefix: a, conflict: merge, merge: long.lua }\n"
                           "  - { prefix: bb, conflict: merge, merge: nothere.lua }\n",
               1);
    write_file(lua, "-- sixteen bytes\n", 4096);
    EXPECT(!config_load(config, &d, &errors));
    buffer_printf(&want,
                  "%s:10: keyspaces[0].merge: %s cannot be read: larger than 64 KiB\n"
                  "%s:11: keyspaces[1].merge: %s/nothere.lua cannot be read: No such file or "
                  "directory\n",
                  config, lua, config, dir);
    EXPECT_SPAN(buffer_span(&errors), buffer_span(&want));
    buffer_release(&errors);
    buffer_release(&want);
    remove(lua);
    remove(config);
    rmdir(dir);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
