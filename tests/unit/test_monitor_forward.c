/* What becomes of connections in the monitor, good, bad and forged. */
#include "monitor_rig.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>

static struct rig_message got;

static const struct approval *approval_of(const struct rig_message *m)
{
    return m->kind == MESSAGE_VERDICT ? &((const struct message_verdict *)m->payload.data)->approval
                                      : &((const struct handover *)m->payload.data)->approval;
}

static void assert_verdict(struct rig *rig, uint8_t verdict)
{
    assert_true(rig_receive(rig->gate_ends[1], &got));
    assert_int_equal(got.kind, MESSAGE_VERDICT);
    assert_int_equal(got.fd, -1);
    assert_int_equal(((const struct message_verdict *)got.payload.data)->token, 77);
    assert_int_equal(approval_of(&got)->verdict, verdict);
}

/* Gate is told that home has its connection, though not at once. */
static void assert_departed(struct rig *rig)
{
    uint64_t tell_ms = rig->forward.departures[1].tell_ms;
    const struct message_departed *departed;

    assert_int_equal(forward_tell_departures(&rig->forward, tell_ms - 1), tell_ms);
    assert_false(rig_receive_any(rig->gate_ends, &got));
    assert_int_equal(forward_tell_departures(&rig->forward, tell_ms), FORWARD_NOTHING_DUE);
    assert_true(rig_receive(rig->gate_ends[1], &got));
    assert_int_equal(got.kind, MESSAGE_DEPARTED);
    departed = (const struct message_departed *)got.payload.data;
    assert_int_equal(departed->count, 1);
    assert_int_equal(departed->tokens[0], 77);
}

static void assert_silence(struct rig *rig)
{
    assert_false(rig_receive_any(rig->gate_ends, &got));
    assert_false(rig_receive_any(rig->home_ends, &got));
}

/* --- the ways of a connection --- */

static void a_good_password_reaches_home(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(rig_connection(rig, FORWARD_GATE, CREDENTIAL_BASIC, "wonderland"), 0);
    assert_int_equal(rig->jobs, 1);
    assert_silence(rig); /* parked */
    forward_hash_done(&rig->forward, rig->job, HASH_MATCH);
    assert_true(rig_receive_any(rig->home_ends, &got));
    assert_int_equal(got.kind, MESSAGE_CONNECTION);
    assert_true(got.fd >= 0);
    const struct handover *h = (const struct handover *)got.payload.data;
    struct credential wiped = {0};
    assert_memory_equal(&h->credential, &wiped, sizeof(wiped));
    assert_string_equal(h->approval.user, "alice");
    assert_int_equal(h->approval.peer.ss_family, AF_INET);
    assert_int_equal(h->plaintext_bytes, 18);
    assert_memory_equal(h + 1, "GET / HTTP/1.1", 14);
    close(got.fd);
    assert_departed(rig);
    assert_silence(rig);
}

static void a_wrong_password_stays_at_gate(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(rig_connection(rig, FORWARD_GATE, CREDENTIAL_BASIC, "looking-glass"), 0);
    forward_hash_done(&rig->forward, rig->job, HASH_MISMATCH);
    assert_verdict(rig, APPROVAL_REFUSED);
    assert_silence(rig);
}

static void none_is_refused_without_a_hash(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(rig_connection(rig, FORWARD_GATE, CREDENTIAL_NONE, NULL), 0);
    assert_int_equal(rig->jobs, 0);
    assert_verdict(rig, APPROVAL_REFUSED);
}

static void a_login_is_answered_by_gate(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(rig_connection(rig, FORWARD_GATE, CREDENTIAL_LOGIN, "wonderland"), 0);
    forward_hash_done(&rig->forward, rig->job, HASH_MATCH);
    assert_verdict(rig, APPROVAL_ACCEPTED);
    assert_int_equal(strlen(approval_of(&got)->session_token), CREDENTIAL_TOKEN_CHARS);
    assert_silence(rig);
}

static void from_home_refused_ones_and_logins_go_to_gate(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(rig_connection(rig, FORWARD_HOME, CREDENTIAL_NONE, NULL), 0);
    assert_true(rig_receive_any(rig->gate_ends, &got));
    assert_int_equal(got.kind, MESSAGE_CONNECTION);
    assert_int_equal(approval_of(&got)->verdict, APPROVAL_REFUSED);
    assert_int_equal(((const struct handover *)got.payload.data)->token, 0);
    close(got.fd);

    assert_int_equal(rig_connection(rig, FORWARD_HOME, CREDENTIAL_LOGIN, "wonderland"), 0);
    forward_hash_done(&rig->forward, rig->job, HASH_MATCH);
    assert_true(rig_receive_any(rig->gate_ends, &got));
    assert_int_equal(got.kind, MESSAGE_CONNECTION);
    assert_int_equal(strlen(approval_of(&got)->session_token), CREDENTIAL_TOKEN_CHARS);
    close(got.fd);
    assert_silence(rig);
}

static void from_home_to_home_makes_no_verdict(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(rig_connection(rig, FORWARD_HOME, CREDENTIAL_BASIC, "wonderland"), 0);
    forward_hash_done(&rig->forward, rig->job, HASH_MATCH);
    assert_true(rig_receive_any(rig->home_ends, &got));
    assert_int_equal(approval_of(&got)->verdict, APPROVAL_ACCEPTED);
    close(got.fd);
    assert_silence(rig);
}

/* --- forged and malformed messages --- */

static void an_approval_that_gate_wrote_counts_for_nothing(void **state)
{
    struct rig *rig = *state;
    _Alignas(16) char memory[sizeof(struct handover) + 64];
    size_t len = rig_message(memory, CREDENTIAL_NONE, NULL);
    struct approval *forged = &((struct handover *)memory)->approval;

    forged->verdict = APPROVAL_ACCEPTED;
    strcpy(forged->user, "alice");
    memset(forged->digest, 0xff, sizeof(forged->digest));
    assert_int_equal(
        rig_send(rig, FORWARD_GATE, 1, MESSAGE_CONNECTION, memory, len, dup(rig->server)), 0);
    assert_verdict(rig, APPROVAL_REFUSED);
    assert_string_equal(approval_of(&got)->user, "");
    assert_int_equal(approval_of(&got)->digest[0], 0);
    assert_silence(rig);
}

/* Two connections with the same token, one with a good credential: each gets what its own message
 * deserves, so the other socket cannot slip in. */
static void verdicts_cannot_be_swapped(void **state)
{
    struct rig *rig = *state;
    struct rig other = {0};
    _Alignas(16) char memory[sizeof(struct handover) + 64];
    struct sockaddr_in expected, found;
    socklen_t length = sizeof(expected);

    rig_connect(&other);
    assert_int_equal(rig_connection(rig, FORWARD_GATE, CREDENTIAL_BASIC, "wonderland"), 0);
    size_t len = rig_message(memory, CREDENTIAL_NONE, NULL);
    assert_int_equal(
        rig_send(rig, FORWARD_GATE, 1, MESSAGE_CONNECTION, memory, len, dup(other.server)), 0);
    assert_verdict(rig, APPROVAL_REFUSED); /* the other one, at once */
    forward_hash_done(&rig->forward, rig->job, HASH_MATCH);
    assert_departed(rig);
    assert_true(rig_receive_any(rig->home_ends, &got));
    assert_int_equal(getpeername(rig->server, (struct sockaddr *)&expected, &length), 0);
    assert_int_equal(getpeername(got.fd, (struct sockaddr *)&found, &length), 0);
    assert_int_equal(expected.sin_port, found.sin_port);
    const struct sockaddr_in *told = (const struct sockaddr_in *)&approval_of(&got)->peer;
    assert_int_equal(told->sin_port, expected.sin_port);
    close(got.fd);
    assert_silence(rig);
    close(other.client);
    close(other.server);
}

static void malformed_connections_are_dropped(void **state)
{
    struct rig *rig = *state;
    _Alignas(16) char memory[sizeof(struct handover) + 64];
    struct handover *h = (struct handover *)memory;

    for (int fault = 0; fault < 9; fault++) {
        size_t len = rig_message(memory, CREDENTIAL_BASIC, "wonderland");
        switch (fault) {
        case 0:
            len--;
            break;
        case 1:
            len++;
            break;
        case 2:
            len = sizeof(*h) - 1;
            break;
        case 3:
            len = 0;
            break;
        case 4:
            h->flags = 1U << 31;
            break;
        case 5:
            h->flags = HANDOVER_TLS;
            break; /* without keys */
        case 6:
            h->credential.len = 60000;
            break;
        case 7:
            h->credential.kind = 200;
            break;
        case 8:
            h->plaintext_bytes = UINT32_MAX;
            h->ciphertext_bytes = 19;
            break;
        }
        assert_int_equal(
            rig_send(rig, FORWARD_GATE, 1, MESSAGE_CONNECTION, memory, len, dup(rig->server)),
            -EBADMSG);
        assert_silence(rig);
    }
    assert_int_equal(rig->jobs, 0);
}

static void only_connections_are_passed_on(void **state)
{
    struct rig *rig = *state;
    _Alignas(16) char memory[sizeof(struct handover) + 64];
    struct sockaddr_in any = {.sin_family = AF_INET};
    int pipes[2], pair[2];

    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&any, sizeof(any)), 0);
    assert_int_equal(listen(listener, 1), 0);
    const int wrong[] = {pipes[0], pipes[1],
                         pair[0],  pair[1],
                         listener, socket(AF_INET, SOCK_DGRAM, 0),
                         -1,       open("/", O_RDONLY | O_DIRECTORY)};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        size_t len = rig_message(memory, CREDENTIAL_BASIC, "wonderland");
        assert_int_equal(rig_send(rig, FORWARD_GATE, 1, MESSAGE_CONNECTION, memory, len, wrong[i]),
                         -EBADMSG);
    }
    assert_silence(rig);
}

static void kinds_that_children_do_not_send(void **state)
{
    struct rig *rig = *state;
    _Alignas(16) char memory[sizeof(struct handover) + 64] = {0};

    for (unsigned kind = 0; kind < 40; kind++) {
        if (kind == MESSAGE_CONNECTION)
            continue;
        assert_int_equal(rig_send(rig, FORWARD_GATE, 1, kind, memory, 33, dup(rig->server)),
                         -EBADMSG);
        if (kind != MESSAGE_LOGOUT)
            assert_int_equal(rig_send(rig, FORWARD_HOME, 1, kind, memory, 33, -1), -EBADMSG);
    }
    assert_int_equal(rig_send(rig, FORWARD_HOME, 1, MESSAGE_LOGOUT, memory, 32, -1), -EBADMSG);
    assert_int_equal(rig_send(rig, FORWARD_HOME, 1, MESSAGE_LOGOUT, memory, 33, -1), 0);
    assert_silence(rig);
}

/* --- waiting and limits --- */

static void many_connections_cost_one_hash(void **state)
{
    struct rig *rig = *state;
    unsigned accepted = 0;

    for (int i = 0; i < 1000; i++)
        assert_int_equal(rig_connection(rig, FORWARD_GATE, CREDENTIAL_BASIC, "wonderland"), 0);
    assert_int_equal(rig->jobs, 1);
    assert_int_equal(rig->forward.parked_count, 1000);
    forward_hash_done(&rig->forward, rig->job, HASH_MATCH);
    assert_int_equal(rig->forward.parked_count, 0);
    for (bool more = true; more;) {
        more = false;
        for (int i = 0; i < RIG_RINGS; i++) {
            while (rig_receive(rig->home_ends[i], &got)) {
                more = true;
                accepted += got.kind == MESSAGE_CONNECTION;
                close(got.fd);
            }
            assert_int_equal(outbox_flush(&rig->home[i]), 0);
        }
    }
    assert_int_equal(accepted, 1000);
}

static void parking_is_bounded(void **state)
{
    struct rig *rig = *state;

    for (int i = 0; i < LIMIT_PARKED; i++)
        assert_int_equal(rig_connection(rig, FORWARD_GATE, CREDENTIAL_BASIC, "wonderland"), 0);
    assert_silence(rig);
    assert_int_equal(rig_connection(rig, FORWARD_GATE, CREDENTIAL_BASIC, "wonderland"), 0);
    assert_verdict(rig, APPROVAL_BUSY);
    assert_true(approval_of(&got)->retry_after_s > 0);
    assert_int_equal(rig->forward.parked_count, LIMIT_PARKED);
}

/* Home does not read: its boxes fill, then clients are told to come again. */
static void a_home_that_does_not_read_makes_others_wait(void **state)
{
    struct rig *rig = *state;
    uint64_t accepted = 0, busy = 0;

    for (unsigned i = 0; i < 2 * LIMIT_OUTBOX_MESSAGES + 1000; i++) {
        rig_connection(rig, FORWARD_GATE, CREDENTIAL_BASIC, "wonderland");
        if (rig->jobs == 1 && i == 0)
            forward_hash_done(&rig->forward, rig->job, HASH_MATCH);
        while (rig_receive(rig->gate_ends[1], &got)) {
            if (got.kind == MESSAGE_DEPARTED)
                accepted += ((const struct message_departed *)got.payload.data)->count;
            else
                busy += approval_of(&got)->verdict == APPROVAL_BUSY;
        }
    }
    accepted += rig->forward.departures[1].message.count;
    assert_true(accepted >= LIMIT_OUTBOX_MESSAGES);
    assert_true(busy > 0);
    assert_int_equal(accepted + busy, 2 * LIMIT_OUTBOX_MESSAGES + 1000);
    assert_true(rig->home[0].bytes <= LIMIT_OUTBOX_BYTES);
}

static void the_death_of_the_hasher_is_not_the_clients_fault(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(rig_connection(rig, FORWARD_GATE, CREDENTIAL_BASIC, "wonderland"), 0);
    forward_hash_lost(&rig->forward);
    assert_verdict(rig, APPROVAL_BUSY);
    assert_int_equal(rig->forward.parked_count, 0);
    forward_hash_done(&rig->forward, rig->job, HASH_MATCH); /* too late: nothing happens */
    assert_silence(rig);
}

/* Gate died while its connection was parked: home gets it, and the new gate no verdict for a token
 * that may be another connection's there. */
static void a_new_gate_gets_no_verdicts_of_the_old_one(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(rig_connection(rig, FORWARD_GATE, CREDENTIAL_BASIC, "wonderland"), 0);
    rig->forward.gate_life = 2;
    forward_hash_done(&rig->forward, rig->job, HASH_MATCH);
    assert_true(rig_receive_any(rig->home_ends, &got));
    close(got.fd);
    assert_silence(rig);
    assert_int_equal(forward_tell_departures(&rig->forward, UINT64_MAX - 1), FORWARD_NOTHING_DUE);
    assert_silence(rig);
}

/* The same, when it had gone to home already. */
static void a_new_gate_hears_of_no_departures_of_the_old_one(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(rig_connection(rig, FORWARD_GATE, CREDENTIAL_BASIC, "wonderland"), 0);
    forward_hash_done(&rig->forward, rig->job, HASH_MATCH);
    assert_true(rig_receive_any(rig->home_ends, &got));
    close(got.fd);
    rig->forward.gate_life = 2;
    assert_int_equal(forward_tell_departures(&rig->forward, UINT64_MAX - 1), FORWARD_NOTHING_DUE);
    assert_silence(rig);
}

/* A connection of the gate before comes through only when the present one has departures too: these
 * are told of all the same. */
static void departures_of_the_old_gate_cost_the_new_one_none(void **state)
{
    struct rig *rig = *state;
    _Alignas(16) char memory[sizeof(struct handover) + 64];

    assert_int_equal(rig_connection(rig, FORWARD_GATE, CREDENTIAL_BASIC, "wonderland"), 0);
    rig->forward.gate_life = 2;
    size_t len = rig_message(memory, CREDENTIAL_BASIC, "wonderland");
    assert_int_equal(
        rig_send(rig, FORWARD_GATE, 2, MESSAGE_CONNECTION, memory, len, dup(rig->server)), 0);
    forward_hash_done(&rig->forward, rig->job, HASH_MATCH); /* for both */
    /* And one more of the old gate's, at once. */
    assert_int_equal(rig_connection(rig, FORWARD_GATE, CREDENTIAL_BASIC, "wonderland"), 0);
    while (rig_receive_any(rig->home_ends, &got))
        close(got.fd);
    assert_departed(rig);
    assert_silence(rig);
}

/* A burst is told of in full messages at once. */
static void many_departures_go_together(void **state)
{
    struct rig *rig = *state;
    uint64_t told = 0;

    for (int i = 0; i < CHANNEL_DEPARTED_MAX; i++) {
        assert_false(rig_receive_any(rig->gate_ends, &got));
        rig_connection(rig, FORWARD_GATE, CREDENTIAL_BASIC, "wonderland");
        if (i == 0)
            forward_hash_done(&rig->forward, rig->job, HASH_MATCH);
        assert_true(rig_receive_any(rig->home_ends, &got));
        close(got.fd);
    }
    while (rig_receive(rig->gate_ends[1], &got)) {
        assert_int_equal(got.kind, MESSAGE_DEPARTED);
        told += ((const struct message_departed *)got.payload.data)->count;
    }
    assert_int_equal(told, CHANNEL_DEPARTED_MAX);
}

/* --- logging out --- */

static void logging_out_tells_every_ring(void **state)
{
    struct rig *rig = *state;
    struct message_logout logout = {0};
    _Alignas(16) char memory[sizeof(struct handover) + 64];
    struct credential session;

    assert_int_equal(rig_connection(rig, FORWARD_GATE, CREDENTIAL_LOGIN, "wonderland"), 0);
    forward_hash_done(&rig->forward, rig->job, HASH_MATCH);
    assert_verdict(rig, APPROVAL_ACCEPTED);
    assert_int_equal(credential_from_fields(span_of(NULL, 0),
                                            span_str(approval_of(&got)->session_token), &session),
                     0);
    credential_digest(&session, logout.digest);
    memcpy(memory, &logout, sizeof(logout));
    assert_int_equal(rig_send(rig, FORWARD_HOME, 1, MESSAGE_LOGOUT, memory, sizeof(logout), -1), 0);
    for (int i = 0; i < RIG_RINGS; i++) {
        assert_true(rig_receive(rig->home_ends[i], &got));
        assert_int_equal(got.kind, MESSAGE_REVOKE);
        const struct message_revoke *revoke = (const struct message_revoke *)got.payload.data;
        assert_memory_equal(revoke->digest, logout.digest, sizeof(logout.digest));
    }
    assert_int_equal(rig->stuck, 0);
}

static void a_revocation_says_by_which_app_password(void **state)
{
    struct rig *rig = *state;
    struct revocation revocation = {.user = SPAN("alice"), .app = 5};

    forward_revoke(&revocation, &rig->forward);
    for (int i = 0; i < RIG_RINGS; i++) {
        static const uint8_t nothing[DIGEST_BYTES];
        assert_true(rig_receive(rig->home_ends[i], &got));
        const struct message_revoke *revoke = (const struct message_revoke *)got.payload.data;
        assert_string_equal(revoke->user, "alice");
        assert_memory_equal(revoke->digest, nothing, sizeof(nothing));
        assert_int_equal(revoke->app, 5);
    }
}

/* A revocation must not get lost: where it cannot be delivered, home has to end. */
static void a_revocation_that_does_not_fit_ends_home(void **state)
{
    struct rig *rig = *state;
    struct revocation revocation = {.user = SPAN("alice")};

    for (unsigned i = 0; i < LIMIT_OUTBOX_MESSAGES + 1000 && rig->stuck == 0; i++)
        forward_revoke(&revocation, &rig->forward);
    assert_int_equal(rig->stuck, 1);
}

static int set_up(void **state)
{
    *state = rig_create();
    return 0;
}

static int tear_down(void **state)
{
    rig_destroy(*state);
    return 0;
}

/* Every test again, counting descriptors: none may be left. */
static void no_descriptor_is_left(void **state)
{
    static void (*const tests[])(void **) = {a_good_password_reaches_home,
                                             from_home_refused_ones_and_logins_go_to_gate,
                                             malformed_connections_are_dropped,
                                             only_connections_are_passed_on,
                                             kinds_that_children_do_not_send,
                                             parking_is_bounded,
                                             a_home_that_does_not_read_makes_others_wait};
    int before = rig_descriptors();

    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        if (tests[i] == only_connections_are_passed_on)
            continue; /* keeps the other ends itself */
        set_up(state);
        tests[i](state);
        tear_down(state);
        assert_int_equal(rig_descriptors(), before);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_good_password_reaches_home),
        TEST(a_wrong_password_stays_at_gate),
        TEST(none_is_refused_without_a_hash),
        TEST(a_login_is_answered_by_gate),
        TEST(from_home_refused_ones_and_logins_go_to_gate),
        TEST(from_home_to_home_makes_no_verdict),
        TEST(an_approval_that_gate_wrote_counts_for_nothing),
        TEST(verdicts_cannot_be_swapped),
        TEST(malformed_connections_are_dropped),
        TEST(only_connections_are_passed_on),
        TEST(kinds_that_children_do_not_send),
        TEST(many_connections_cost_one_hash),
        TEST(parking_is_bounded),
        TEST(a_home_that_does_not_read_makes_others_wait),
        TEST(the_death_of_the_hasher_is_not_the_clients_fault),
        TEST(a_new_gate_gets_no_verdicts_of_the_old_one),
        TEST(a_new_gate_hears_of_no_departures_of_the_old_one),
        TEST(departures_of_the_old_gate_cost_the_new_one_none),
        TEST(many_departures_go_together),
        TEST(logging_out_tells_every_ring),
        TEST(a_revocation_says_by_which_app_password),
        TEST(a_revocation_that_does_not_fit_ends_home),
        cmocka_unit_test(no_descriptor_is_left),
    };

    struct rlimit files;

    /* Thousands of descriptors wait in some tests. */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
