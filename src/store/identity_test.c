#include "base/bits.h"
#include "store/identity.h"

#include <stdio.h>

#include "base/error.h"
#include "base/prng.h"
#include "base/test.h"
#include "sim/disk.h"

static struct sim_disk d;
static struct identity want, got;
static char problem[320];

static void add_region(uint8_t id, const char *name)
{
    struct identity_region *region = &want.regions[want.region_count++];
    region->id = id;
    snprintf(region->name, sizeof region->name, "%s", name);
}

static void want_region(uint8_t region)
{
    want = (struct identity){ .deployment = "shop", .region = region, .shards = 1, .run = 77 };
}

static void close_number(uint8_t number)
{
    bits_add(want.closed, number);
}

/* A new disk, and the configuration of region 2 of three. */
static void begin(uint64_t seed)
{
    sim_disk_init(&d, seed);
    want_region(2);
    add_region(1, "us-east");
    add_region(2, "eu-west");
    add_region(5, "ap-south");
}

static int claim(void)
{
    return identity_claim(&d.disk, &want, &got, problem);
}

/* Claims and expects a refusal with this line. */
static bool refused(int err, const char *line)
{
    bool ok = claim() == err && strcmp(problem, line) == 0;
    if (!ok)
        printf("# got: %s\n", problem);
    return ok;
}

TEST(every_start_takes_the_next_instance_durably)
{
    begin(1);
    for (uint64_t instance = 1; instance <= 20; instance++) {
        EXPECT_EQ(claim(), E_OK);
        EXPECT_EQ(got.instance, instance);
        EXPECT_EQ(got.region_count, 3);
        EXPECT_EQ(got.region, 2);
        sim_disk_crash(&d);
    }
    sim_disk_release(&d);
}

TEST(regions_may_be_added_and_are_then_fixed_too)
{
    begin(1);
    EXPECT_EQ(claim(), E_OK);
    add_region(9, "sa-east");
    EXPECT_EQ(claim(), E_OK);
    EXPECT_EQ(got.instance, 2);
    want.region_count--;
    EXPECT(refused(E_FOREIGN, "region sa-east (number 9), which this directory was written with, "
                              "is not in the configuration: if it is gone for good, list 9 under "
                              "closed in the configuration of every region"));
    want.region_count++;
    EXPECT_EQ(claim(), E_OK);
    EXPECT_EQ(got.instance, 3);
    sim_disk_release(&d);
}

TEST(changed_numbers_are_refused)
{
    begin(1);
    EXPECT_EQ(claim(), E_OK);
    want_region(2);
    add_region(1, "ap-south");
    add_region(2, "eu-west");
    add_region(5, "us-east");
    EXPECT(refused(E_FOREIGN,
                   "region us-east has number 5 in the configuration, but this directory "
                   "was written with 1: give it id 1, or, if it gave that number up, list 1 under "
                   "closed in the configuration of every region"));
    want_region(2);
    add_region(2, "eu-west");
    add_region(5, "ap-south");
    EXPECT(refused(E_FOREIGN, "region us-east (number 1), which this directory was written with, "
                              "is not in the configuration: if it is gone for good, list 1 under "
                              "closed in the configuration of every region"));
    sim_disk_release(&d);
}

TEST(a_region_may_take_another_number_when_its_old_one_is_closed)
{
    begin(1);
    EXPECT_EQ(claim(), E_OK);
    got.known.amnesiac = true;
    EXPECT_EQ(identity_store(&d.disk, &got, problem), E_OK);
    EXPECT_EQ(claim(), E_OK);
    EXPECT(got.known.amnesiac);
    want_region(7);
    add_region(1, "us-east");
    add_region(5, "ap-south");
    add_region(7, "eu-west");
    EXPECT(
        refused(E_FOREIGN,
                "region eu-west has number 7 in the configuration, but this directory was "
                "written with 2: give it id 2, or, if it gave that number up, list 2 under closed "
                "in the configuration of every region"));
    close_number(2);
    want.region = 5;
    EXPECT(refused(E_FOREIGN, "the data directory belongs to region eu-west, not to ap-south"));
    want.region = 7;
    EXPECT_EQ(claim(), E_OK);
    EXPECT_EQ(got.instance, 3);
    EXPECT(!got.known.amnesiac);
    sim_disk_release(&d);
}

TEST(other_regions_may_change_their_number_or_go_when_it_is_closed)
{
    begin(1);
    EXPECT_EQ(claim(), E_OK);
    want_region(2);
    add_region(2, "eu-west");
    add_region(6, "us-east");
    close_number(1);
    close_number(5);
    EXPECT_EQ(claim(), E_OK);
    sim_disk_release(&d);
}

TEST(a_closed_number_is_never_used_again)
{
    begin(1);
    EXPECT_EQ(claim(), E_OK);
    want.region_count--;
    close_number(5);
    EXPECT_EQ(claim(), E_OK);
    memset(want.closed, 0, sizeof want.closed);
    EXPECT_EQ(claim(), E_OK); /* it is remembered */
    add_region(5, "sa-east");
    EXPECT(refused(E_FOREIGN, "number 5 was given up and is never used again: give region sa-east "
                              "another id, and list 5 under closed"));
    sim_disk_release(&d);
}

TEST(what_was_learned_of_other_runs_is_kept_over_restarts_and_crashes)
{
    begin(test_seed());
    for (uint64_t round = 1; round < 50; round++) {
        EXPECT_EQ(claim(), E_OK);
        EXPECT_EQ(got.known.latest[1].instance, round - 1);
        EXPECT_EQ(got.known.latest[1].run, round == 1 ? 0 : 1000 * (round - 1));
        EXPECT_EQ(got.known.latest[255].instance, 0);
        got.known.latest[1] = (struct identity_run){ round, 1000 * round };
        EXPECT_EQ(identity_store(&d.disk, &got, problem), E_OK);
        sim_disk_crash(&d);
    }
    want.region_count = 0;
    add_region(2, "eu-west");
    add_region(5, "ap-south");
    close_number(1);
    EXPECT_EQ(claim(), E_OK);
    EXPECT_EQ(got.known.latest[1].instance, 0); /* it comes back under another number, if at all */
    sim_disk_release(&d);
}

TEST(directories_of_others_are_refused)
{
    begin(1);
    EXPECT_EQ(claim(), E_OK);
    want.region = 5;
    EXPECT(refused(E_FOREIGN, "the data directory belongs to region eu-west, not to ap-south"));
    want.region = 2;
    want.shards = 4;
    EXPECT(refused(E_FOREIGN,
                   "the data directory was written with 1 shards, the configuration says 4: "
                   "the number is fixed"));
    want.shards = 1;
    snprintf(want.deployment, sizeof want.deployment, "bank");
    EXPECT(refused(E_FOREIGN, "the data directory belongs to deployment shop, not to bank"));
    snprintf(want.deployment, sizeof want.deployment, "shop");
    EXPECT_EQ(claim(), E_OK);
    EXPECT_EQ(got.instance, 2);
    sim_disk_release(&d);
}

TEST(any_damage_is_refused_never_guessed)
{
    begin(1);
    EXPECT_EQ(claim(), E_OK);
    size_t bytes = sim_disk_bytes(&d, "identity").len;
    for (size_t bit = 0; bit < bytes * 8; bit++) {
        sim_disk_flip(&d, "identity", bit / 8, (unsigned)(bit % 8));
        EXPECT(refused(
            E_CORRUPT,
            "identity: damaged: it does not match its checksum, and nobody else can say what "
            "stood there; start with an empty data directory, under a new id"));
        sim_disk_flip(&d, "identity", bit / 8, (unsigned)(bit % 8));
    }
    for (size_t len = bytes; len-- > 0;) {
        sim_disk_cut(&d, "identity", len);
        EXPECT_EQ(claim(), E_CORRUPT);
    }
    sim_disk_release(&d);
}

TEST(a_log_without_identity_is_refused)
{
    struct disk_file *file;
    begin(1);
    EXPECT_EQ(d.disk.ops->open(&d.disk, "0000000000000000.log", true, &file), E_OK);
    d.disk.ops->close(&d.disk, file);
    EXPECT(refused(E_CORRUPT,
                   "identity: missing, but the directory holds a log; start with an empty data "
                   "directory, under a new id"));
    sim_disk_release(&d);
}

TEST(an_audit_alone_is_no_log)
{
    struct disk_file *file;
    begin(1);
    EXPECT_EQ(d.disk.ops->open(&d.disk, "audit.log", true, &file), E_OK);
    d.disk.ops->close(&d.disk, file);
    EXPECT_EQ(claim(), E_OK);
    sim_disk_release(&d);
}

TEST(instances_never_repeat_whatever_crashes)
{
    uint64_t claimed = 0, deaths = 0;
    begin(test_seed());
    for (int round = 0; round < 500; round++) {
        if (prng_below(&d.prng, 2) == 0)
            d.die_at = d.calls + 1 + prng_below(&d.prng, 7);
        int err = claim();
        if (err == E_OK) {
            EXPECT(got.instance > claimed);
            claimed = got.instance;
        } else {
            EXPECT_EQ(err, E_IO);
            EXPECT(problem[0] != '\0');
            deaths++;
        }
        if (d.die_at != 0 || prng_below(&d.prng, 2) == 0)
            sim_disk_crash(&d);
    }
    EXPECT(deaths > 50 && claimed > 200);
    sim_disk_release(&d);
}

TEST(a_full_disk_is_reported)
{
    begin(1);
    sim_disk_fail(&d, SIM_DISK_WRITE, 1, E_FULL);
    EXPECT(refused(E_FULL, "identity.new: write: no space left on the disk"));
    EXPECT_EQ(claim(), E_OK);
    EXPECT_EQ(got.instance, 1);
    sim_disk_release(&d);
}

/* The ceiling */

TEST(the_ceiling_starts_at_nothing_and_is_kept)
{
    struct ceiling_file c;
    uint64_t ceiling_ms = 99;
    sim_disk_init(&d, 1);
    EXPECT_EQ(ceiling_open(&c, &d.disk, &ceiling_ms), E_OK);
    EXPECT_EQ(ceiling_ms, 0);
    for (uint64_t ms = 1000; ms < 1010; ms++) {
        EXPECT_EQ(ceiling_write(&c, ms), E_OK);
        ceiling_close(&c);
        sim_disk_crash(&d);
        EXPECT_EQ(ceiling_open(&c, &d.disk, &ceiling_ms), E_OK);
        EXPECT_EQ(ceiling_ms, ms);
    }
    ceiling_close(&c);
    ceiling_close(&c);
    sim_disk_release(&d);
}

TEST(a_torn_ceiling_leaves_the_one_before)
{
    struct ceiling_file c;
    uint64_t ceiling_ms, written = 0, older = 0;
    sim_disk_init(&d, test_seed());
    EXPECT_EQ(ceiling_open(&c, &d.disk, &ceiling_ms), E_OK);
    for (int round = 0; round < 1000; round++) {
        uint64_t next = written + 1 + prng_below(&d.prng, 100000);
        if (prng_below(&d.prng, 2) == 0)
            d.die_at = d.calls + 1 + prng_below(&d.prng, 3);
        int err = ceiling_write(&c, next);
        written = err == E_OK ? next : written;
        if (d.die_at != 0) {
            ceiling_close(&c);
            sim_disk_crash(&d);
            EXPECT_EQ(ceiling_open(&c, &d.disk, &ceiling_ms), E_OK);
            EXPECT(ceiling_ms == written || ceiling_ms == next);
            older += ceiling_ms < next;
            written = ceiling_ms;
        }
    }
    EXPECT(older > 20);
    ceiling_close(&c);
    sim_disk_release(&d);
}

TEST(a_clock_file_damaged_in_both_slots_is_refused)
{
    struct ceiling_file c;
    uint64_t ceiling_ms;
    sim_disk_init(&d, 1);
    EXPECT_EQ(ceiling_open(&c, &d.disk, &ceiling_ms), E_OK);
    EXPECT_EQ(ceiling_write(&c, 5000), E_OK);
    EXPECT_EQ(ceiling_write(&c, 6000), E_OK);
    ceiling_close(&c);
    sim_disk_flip(&d, "clock", 4096, 3);
    EXPECT_EQ(ceiling_open(&c, &d.disk, &ceiling_ms), E_OK);
    EXPECT_EQ(ceiling_ms, 5000);
    ceiling_close(&c);
    sim_disk_flip(&d, "clock", 9, 0);
    EXPECT_EQ(ceiling_open(&c, &d.disk, &ceiling_ms), E_CORRUPT);
    EXPECT_SPAN(
        span_str(d.disk.detail),
        span_str("clock: damaged: neither slot matches its checksum; give the region a new id"));
    sim_disk_release(&d);
}

static void add_fence(const char *name, uint32_t members)
{
    struct residency_fence *f = &want.residency.fences[++want.residency.fence_count];
    snprintf(f->name, sizeof f->name, "%s", name);
    f->members = members;
}

/* Which keys lie in the first fence. */
static void add_prefix(const char *prefix)
{
    size_t len = strlen(prefix);
    uint8_t *at = want.residency.prefixes + want.residency.prefix_bytes;
    at[0] = 1;
    at[1] = (uint8_t)len;
    memcpy(at + 2, prefix, len);
    want.residency.prefix_bytes += (uint32_t)len + 2;
}

enum { US = 1 << 1, EU = 1 << 2, AP = 1 << 5 };

TEST(fences_keep_their_places_and_new_ones_follow)
{
    begin(1);
    add_fence("gdpr", US | EU);
    EXPECT_EQ(claim(), E_OK);
    add_fence("ocean", EU | AP);
    EXPECT_EQ(claim(), E_OK);
    EXPECT_EQ(got.known.joining, 0); /* a new one holds nothing yet */
    want.residency.fence_count = 0;
    add_fence("ocean", EU | AP);
    add_fence("gdpr", US | EU);
    EXPECT(refused(E_FOREIGN,
                   "fence gdpr is in place 2 of the configuration, but this directory was written "
                   "with it in place 1: keep the order of fences, and add new ones at the end"));
    want.residency.fence_count = 0;
    add_fence("gdpr", US | EU);
    EXPECT(refused(E_FOREIGN,
                   "fence ocean, which this directory was written with in place 2, is not in the "
                   "configuration: fences are never removed, renamed or moved; put it back there"));
    add_fence("ocean", EU | AP);
    EXPECT_EQ(claim(), E_OK);
    sim_disk_release(&d);
}

TEST(a_member_leaves_a_fence_only_with_its_number)
{
    begin(1);
    add_fence("gdpr", US | EU | AP);
    EXPECT_EQ(claim(), E_OK);
    want.residency.fences[1].members = EU | AP;
    EXPECT(refused(E_FOREIGN,
                   "region us-east (number 1) is no member of fence gdpr any more: it may "
                   "leave only with an empty data directory, under a new id, with 1 "
                   "listed under closed"));
    want_region(2);
    add_region(2, "eu-west");
    add_region(5, "ap-south");
    add_region(7, "us-east");
    add_fence("gdpr", EU | AP);
    close_number(1);
    EXPECT_EQ(claim(), E_OK);
    sim_disk_release(&d);
}

TEST(the_directory_of_a_region_that_left_is_refused)
{
    begin(1);
    add_fence("gdpr", US | EU);
    EXPECT_EQ(claim(), E_OK);
    want_region(7);
    add_region(1, "us-east");
    add_region(5, "ap-south");
    add_region(7, "eu-west");
    add_fence("gdpr", US);
    close_number(2);
    EXPECT(refused(E_FOREIGN,
                   "this directory holds what fence gdpr holds, and this region is no member of it "
                   "any more: start it with an empty data directory"));
    want.residency.fences[1].members = US | 1 << 7; /* only its number has changed */
    EXPECT_EQ(claim(), E_OK);
    EXPECT_EQ(got.known.joining, 0);
    sim_disk_release(&d);
}

TEST(who_becomes_a_member_has_to_take_what_the_fence_holds)
{
    begin(1);
    add_fence("gdpr", US | AP);
    add_fence("empty", 0);
    EXPECT_EQ(claim(), E_OK);
    want.residency.fences[1].members |= EU;
    want.residency.fences[2].members |= EU; /* alone */
    EXPECT_EQ(claim(), E_OK);
    EXPECT_EQ(got.known.joining, 1 << 1);
    EXPECT_EQ(got.known.joined_instance, 2);
    EXPECT_EQ(claim(), E_OK); /* and until it has */
    EXPECT_EQ(got.known.joining, 1 << 1);
    EXPECT_EQ(got.known.joined_instance, 2);
    got.known.joining = 0;
    EXPECT_EQ(identity_store(&d.disk, &got, problem), E_OK);
    EXPECT_EQ(claim(), E_OK);
    EXPECT_EQ(got.known.joining, 0);
    sim_disk_release(&d);
}

TEST(prefixes_are_those_of_the_directory_until_others_are_stored)
{
    begin(1);
    add_fence("gdpr", US | EU);
    EXPECT_EQ(claim(), E_OK);
    add_prefix("eu:");
    EXPECT_EQ(claim(), E_OK);
    EXPECT_EQ(got.residency.prefix_bytes, 0);
    got.residency = want.residency;
    EXPECT_EQ(identity_store(&d.disk, &got, problem), E_OK);
    add_prefix("eu:public:");
    EXPECT_EQ(claim(), E_OK);
    EXPECT_EQ(residency_fence_of(&got.residency, span_str("eu:1")), 1);
    EXPECT_EQ(got.residency.prefix_bytes, 5);
    sim_disk_release(&d);
}

TEST(a_new_directory_has_the_fences_of_its_configuration)
{
    begin(1);
    add_fence("gdpr", US | EU);
    add_prefix("eu:");
    EXPECT_EQ(claim(), E_OK);
    EXPECT_EQ(got.residency.prefix_bytes, 5);
    EXPECT_EQ(got.known.joining, 0);
    sim_disk_release(&d);
}

TEST(a_directory_made_from_a_back_up_has_the_fences_of_who_wrote_that)
{
    static struct identity had;
    begin(1);
    add_fence("gdpr", US | EU);
    add_prefix("eu:");
    had = want;
    want.residency.prefix_bytes = 0;
    EXPECT_EQ(claim(), E_OK);
    EXPECT_EQ(identity_adopt(&d.disk, &got, &had, problem), E_OK);
    EXPECT_EQ(got.residency.prefix_bytes, 5);
    EXPECT_EQ(claim(), E_OK);
    EXPECT_EQ(got.residency.prefix_bytes, 5);
    want.residency.fences[1].members = US;
    had.residency = want.residency;
    had.residency.fences[1].members = US | EU;
    got = want;
    EXPECT_EQ(identity_adopt(&d.disk, &got, &had, problem), E_FOREIGN);
    sim_disk_release(&d);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
