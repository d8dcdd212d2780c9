#include "merge/merge.h"

#include <fenv.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"
#include "base/memory.h"
#include "merge/library.h"
#include "merge/sandbox.h"
#include "merge/scan.h"

/* Instructions between two looks at the budget. */
enum { HOOK_PERIOD = 100 };

/* What our functions pay: for an element, and for bytes of a table walked over, which are cheap. */
enum { ELEMENT_STEPS = 4, WALK_BYTES = 512 };

/* Its address names the compiled file in the registry. */
static char chunk_key;

/* What a run, or the trial of a file, hands to the functions that Lua calls in protected mode. */
struct call {
    struct merge_function *f;
    struct span key, field;
    const struct merge_version *versions;
    size_t count;
    bool trial; /* only see whether the file returns a function */
    int status;
};

/* --- The budget --- */

struct merge_function *sandbox_of(lua_State *L)
{
    void *context;

    lua_getallocf(L, &context);
    return context;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Lua tells a type instead of the old size when it allocates an object; it collects all garbage
 * and asks once more before it believes a NULL. */
static void *allocate(void *context, void *block, size_t old_bytes, size_t bytes)
{
    struct merge_function *f = context;
    bool is_string = block == NULL && old_bytes == LUA_TSTRING;

    if (block == NULL)
        old_bytes = 0;
    if (bytes > old_bytes && (f->refusals >= MERGE_REFUSALS_MAX || bytes > f->used_max ||
                              f->used - old_bytes > f->used_max - bytes)) {
        f->refusals++;
        return NULL;
    }
    f->used = f->used - old_bytes + bytes;
    f->block_max = larger(f->block_max, bytes);
    f->string_max = larger(f->string_max, is_string ? bytes : 0);
    if (bytes > 0)
        return mem_realloc(block, bytes);
    mem_free(block);
    return NULL;
}

/* Many values can be gathered behind "..." alone: table.unpack gives no more than a call may have.
 * Looks at the function that runs and at its caller, which may wait for one of a fixed number. */
static void check_varargs(lua_State *L)
{
    lua_Debug at;

    for (int level = 0; level < 2 && lua_getstack(L, level, &at); level++) {
        if (lua_getlocal(L, &at, -MERGE_VALUES_MAX - 1) == NULL)
            continue;
        luaL_where(L, 0);
        lua_pushfstring(L, "more than %d values at once", MERGE_VALUES_MAX);
        lua_concat(L, 2);
        lua_error(L);
    }
}

static void count_hook(lua_State *L, lua_Debug *at)
{
    (void)at;
    check_varargs(L);
    sandbox_charge(L, HOOK_PERIOD * (1 + sandbox_of(L)->string_max / MERGE_STEP_BYTES));
}

/* Nothing offered could swallow the error; should something ever, the next instruction meets it
 * again. */
void sandbox_charge(lua_State *L, uint64_t steps)
{
    struct merge_function *f = sandbox_of(L);

    if (steps < f->steps_left) {
        f->steps_left -= steps;
        return;
    }
    f->steps_left = 0;
    lua_sethook(L, count_hook, LUA_MASKCOUNT, 1);
    luaL_where(L, 0);
    if (*lua_tostring(L, -1) == 0)
        luaL_where(L, 1);
    lua_pushliteral(L, "the function takes too many steps");
    lua_concat(L, 2);
    lua_error(L);
}

void sandbox_charge_elements(lua_State *L, uint64_t count)
{
    sandbox_charge(L, count < UINT64_MAX / ELEMENT_STEPS ? count * ELEMENT_STEPS : UINT64_MAX);
}

void sandbox_charge_walk(lua_State *L)
{
    sandbox_charge(L, sandbox_of(L)->block_max / WALK_BYTES);
}

/* Before a run on so much input: what it may use over what the state holds already. */
static void grant(struct merge_function *f, size_t input_bytes)
{
    f->used_max = f->used + MERGE_MEMORY_BYTES + MERGE_MEMORY_PER_INPUT_BYTE * input_bytes;
    f->granted = MERGE_STEPS + MERGE_STEPS_PER_INPUT_BYTE * input_bytes;
    f->steps_left = f->granted;
    f->string_max = 0;
    f->block_max = 0;
    f->refusals = 0;
}

/* For what is no work of the function's: Lua frees what it holds by means that allocate, too. */
static void lift_limits(struct merge_function *f)
{
    f->used_max = SIZE_MAX;
    f->refusals = 0;
}

/* --- Saying what went wrong --- */

/* One line: what comes from the function may hold anything. */
__attribute__((format(printf, 3, 4))) static void say(char *problem, size_t problem_size,
                                                      const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(problem, problem_size, format, args);
    va_end(args);
    for (char *c = problem; problem_size > 0 && *c != 0; c++) {
        if ((unsigned char)*c < ' ')
            *c = ' ';
    }
}

static const char *name_of(const struct merge_function *f)
{
    return f->chunk + 1;
}

/* Says what the error on top of the stack is; Lua has put "name:line:" before most. */
static void say_error(const struct merge_function *f, int status, char *problem,
                      size_t problem_size)
{
    bool is_text = lua_type(f->lua, -1) == LUA_TSTRING; /* to convert a number could fail */
    const char *text = is_text ? lua_tostring(f->lua, -1) : NULL;
    size_t name_len = strlen(name_of(f));

    if (status == LUA_ERRMEM)
        say(problem, problem_size, "%s: the function takes too much memory", name_of(f));
    else if (text == NULL)
        say(problem, problem_size, "%s: the function raised a %s", name_of(f),
            luaL_typename(f->lua, -1));
    else if (strncmp(text, name_of(f), name_len) == 0 && text[name_len] == ':')
        say(problem, problem_size, "%s", text);
    else
        say(problem, problem_size, "%s: %s", name_of(f), text);
}

/* --- What Lua runs in protected mode --- */

static int load_body(lua_State *L)
{
    struct merge_function *f = sandbox_of(L);

    library_push_globals(L);
    lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    if (luaL_loadbufferx(L, (const char *)f->source.at, f->source.len, f->chunk, "t") != LUA_OK)
        return lua_error(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &chunk_key);
    return 0;
}

static void push_span(lua_State *L, struct span s)
{
    lua_pushlstring(L, (const char *)s.at, s.len);
}

static void push_version(lua_State *L, const struct merge_version *version)
{
    char stamp[17];

    lua_createtable(L, 0, 4);
    push_span(L, version->value);
    lua_setfield(L, -2, "value");
    lua_pushstring(L, version->region);
    lua_setfield(L, -2, "region");
    lua_pushinteger(L, (lua_Integer)version->time_ms);
    lua_setfield(L, -2, "time_ms");
    snprintf(stamp, sizeof(stamp), "%016llx", (unsigned long long)version->stamp);
    lua_pushstring(L, stamp);
    lua_setfield(L, -2, "stamp");
}

static void push_arguments(lua_State *L, const struct call *call)
{
    lua_createtable(L, (int)call->count, 0);
    for (size_t i = 0; i < call->count; i++) {
        push_version(L, &call->versions[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    push_span(L, call->key);
    if (call->field.at != NULL)
        push_span(L, call->field);
    else
        lua_pushnil(L);
}

/* As in a sentence. */
static const char *type_of_top(lua_State *L)
{
    if (lua_isnil(L, -1))
        return "nil";
    bool is_float = lua_type(L, -1) == LUA_TNUMBER && !lua_isinteger(L, -1);
    return lua_pushfstring(L, "a %s", is_float ? "float" : luaL_typename(L, -1));
}

/* Runs the file, so that its variables are fresh, then the function that it returns. */
static int call_body(lua_State *L)
{
    const struct call *call = lua_touserdata(L, 1);

    lua_rawgetp(L, LUA_REGISTRYINDEX, &chunk_key);
    lua_call(L, 0, 1);
    if (!lua_isfunction(L, -1))
        return luaL_error(L, "the file must return a function, not %s", type_of_top(L));
    if (call->trial)
        return 1;
    push_arguments(L, call);
    lua_call(L, 3, 1);
    if (lua_type(L, -1) != LUA_TSTRING && !lua_isinteger(L, -1))
        return luaL_error(L, "the function must return a string or an integer, not %s",
                          type_of_top(L));
    lua_tostring(L, -1);
    return 1;
}

/* Gives each run a thread of its own, so that the stack it grew goes with it. */
static int thread_body(lua_State *main)
{
    struct call *call = lua_touserdata(main, 1);
    lua_State *L = lua_newthread(main);

    lua_sethook(L, count_hook, LUA_MASKCOUNT, HOOK_PERIOD);
    lua_pushcfunction(L, call_body);
    lua_pushlightuserdata(L, call);
    call->status = lua_pcall(L, 1, 1, 0);
    lua_xmove(L, main, 1);
    return 1;
}

/* Leaves the result, or the error, on top of the stack. */
static int run_call(struct call *call)
{
    lua_State *main = call->f->lua;
    int status;

    lua_pushcfunction(main, thread_body);
    lua_pushlightuserdata(main, call);
    status = lua_pcall(main, 1, 1, 0);
    return status != LUA_OK ? status : call->status;
}

/* --- The state's life --- */

static void close_state(struct merge_function *f)
{
    lift_limits(f);
    if (f->lua != NULL)
        lua_close(f->lua);
    f->lua = NULL;
    CHECK(f->used == 0);
}

/* Takes away everything that a run has left behind. */
static void clean(struct merge_function *f)
{
    lift_limits(f);
    lua_settop(f->lua, 0);
    lua_gc(f->lua, LUA_GCCOLLECT);
}

/* Makes the state, compiles the file and tries whether it returns a function. */
static bool open_state(struct merge_function *f, char *problem, size_t problem_size)
{
    struct call trial = { .f = f, .trial = true };
    int status;

    grant(f, f->source.len);
    f->lua = lua_newstate(allocate, f);
    CHECK(f->lua != NULL);
    lua_pushcfunction(f->lua, load_body);
    status = lua_pcall(f->lua, 0, 0, 0);
    if (status == LUA_OK)
        status = run_call(&trial);
    if (status != LUA_OK) {
        say_error(f, status, problem, problem_size);
        close_state(f);
        return false;
    }
    clean(f);
    f->used_fresh = f->used;
    return true;
}

struct merge_function *merge_compile(const char *name, struct span source, char *problem,
                                     size_t problem_size)
{
    struct merge_function *f;
    const char *refused;
    int line = 0;

    /* Text is to be ordered by its bytes, in every region. */
    CHECK(strcoll("a", "B") > 0);
    if (source.len > MERGE_SOURCE_MAX_BYTES) {
        say(problem, problem_size, "%s: longer than %d bytes", name, MERGE_SOURCE_MAX_BYTES);
        return NULL;
    }
    refused = scan_refused(source, &line);
    if (refused != NULL) {
        say(problem, problem_size, "%s:%d: %s", name, line, refused);
        return NULL;
    }
    f = mem_zalloc(sizeof(*f));
    f->chunk = mem_alloc(strlen(name) + 2);
    f->chunk[0] = '@';
    memcpy(f->chunk + 1, name, strlen(name) + 1);
    buffer_put(&f->source, source);
    if (open_state(f, problem, problem_size))
        return f;
    merge_release(f);
    return NULL;
}

void merge_release(struct merge_function *f)
{
    if (f == NULL)
        return;
    close_state(f);
    buffer_release(&f->source);
    buffer_release(&f->text);
    mem_free(f->chunk);
    mem_free(f);
}

static size_t input_bytes(const struct call *call)
{
    size_t bytes = call->key.len + call->field.len;

    for (size_t i = 0; i < call->count; i++) {
        const struct merge_version *v = &call->versions[i];

        bytes += v->value.len + strlen(v->region) + MERGE_VERSION_BYTES;
    }
    return bytes;
}

/* A run that did without NaN raised no FE_INVALID: the sign of a NaN, and so its text, differs
 * between processors. */
static bool take_result(struct call *call, struct buffer *out, char *problem, size_t problem_size)
{
    struct merge_function *f = call->f;
    size_t len;
    const char *text;
    int status;

    feclearexcept(FE_INVALID);
    status = run_call(call);
    if (status != LUA_OK) {
        say_error(f, status, problem, problem_size);
        return false;
    }
    if (fetestexcept(FE_INVALID)) {
        say(problem, problem_size, "%s: a calculation has no number as its result, like 0/0",
            name_of(f));
        return false;
    }
    text = lua_tolstring(f->lua, -1, &len);
    buffer_put_bytes(out, text, len);
    return true;
}

static void charge_run(struct merge_function *f)
{
    f->taken += f->granted - f->steps_left + (uint64_t)f->refusals * MERGE_STEPS_PER_REFUSAL;
}

/* The state that a run before this one has closed. */
static bool open_again(struct merge_function *f, char *problem, size_t problem_size)
{
    bool opened = open_state(f, problem, problem_size);

    f->taken += MERGE_STEPS_PER_SOURCE_BYTE * f->source.len;
    charge_run(f);
    return opened;
}

uint64_t merge_steps_taken(const struct merge_function *f)
{
    return f->taken;
}

bool merge_run(struct merge_function *f, struct span key, struct span field,
               const struct merge_version *versions, size_t count, struct buffer *out,
               char *problem, size_t problem_size)
{
    struct call call = { .f = f, .key = key, .field = field, .versions = versions, .count = count };
    size_t bytes = input_bytes(&call);
    bool done;

    f->taken = MERGE_RUN_STEPS;
    if (bytes > MERGE_INPUT_MAX_BYTES) {
        say(problem, problem_size, "%s: versions of %zu bytes are more than is merged (%d)",
            name_of(f), bytes, MERGE_INPUT_MAX_BYTES);
        return false;
    }
    if (f->lua == NULL && !open_again(f, problem, problem_size))
        return false;
    grant(f, bytes);
    done = take_result(&call, out, problem, problem_size);
    charge_run(f);
    clean(f);
    buffer_release(&f->text);
    if (f->used != f->used_fresh)
        close_state(f);
    return done;
}
