#include "rt/task.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rt/backend.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

/* task_switch(&save, load): pushes the callee-saved registers, stores the stack pointer in *save,
 * takes `load` and pops what was pushed there. task_entry is where a new task's first switch
 * returns to; it finds its task in a callee-saved register. About 3 ns; swapcontext() makes a
 * system call. */
void task_switch(void **save, void *load);
void task_entry(void);
void task_main(struct task *t);

#if defined(__x86_64__)
__asm__(".text\n"
        ".globl task_switch\n"
        ".type task_switch,@function\n"
        "task_switch:\n"
        "    endbr64\n"
        "    pushq %rbp\n    pushq %rbx\n    pushq %r12\n    pushq %r13\n    pushq %r14\n    pushq "
        "%r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n    popq %r14\n    popq %r13\n    popq %r12\n    popq %rbx\n    popq %rbp\n"
        "    ret\n"
        ".size task_switch, .-task_switch\n"
        ".globl task_entry\n"
        ".type task_entry,@function\n"
        "task_entry:\n"
        "    endbr64\n"
        "    movq %rbx, %rdi\n"
        "    xorl %ebp, %ebp\n"
        "    call task_main\n"
        "    ud2\n"
        ".size task_entry, .-task_entry\n");

static void *first_frame(char *stack_top, struct task *t)
{
    /* r15 r14 r13 r12 rbx rbp, return address; two words above keep the stack 16-byte aligned at
     * the call in task_entry. */
    void **frame = (void **)stack_top - 9;
    memset(frame, 0, 9 * sizeof(void *));
    frame[4] = t;
    frame[6] = (void *)(uintptr_t)task_entry;
    return frame;
}
#elif defined(__aarch64__)
__asm__(".text\n"
        ".globl task_switch\n"
        ".type task_switch,%function\n"
        "task_switch:\n"
        "    hint #34\n" /* bti c */
        "    sub sp, sp, #160\n"
        "    stp x19, x20, [sp, #0]\n    stp x21, x22, [sp, #16]\n    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n    stp x27, x28, [sp, #64]\n    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n    stp d14, d15, [sp, #144]\n"
        "    mov x9, sp\n    str x9, [x0]\n    mov sp, x1\n"
        "    ldp x19, x20, [sp, #0]\n    ldp x21, x22, [sp, #16]\n    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n    ldp x27, x28, [sp, #64]\n    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #160\n"
        "    ret\n"
        ".size task_switch, .-task_switch\n"
        ".globl task_entry\n"
        ".type task_entry,%function\n"
        "task_entry:\n"
        "    hint #36\n" /* bti j */
        "    mov x0, x19\n"
        "    mov x29, #0\n"
        "    bl task_main\n"
        "    brk #1\n"
        ".size task_entry, .-task_entry\n");

static void *first_frame(char *stack_top, struct task *t)
{
    void **frame = (void **)stack_top - 20;
    memset(frame, 0, 20 * sizeof(void *));
    frame[0] = t;                              /* x19 */
    frame[11] = (void *)(uintptr_t)task_entry; /* x30 */
    return frame;
}
#else
#error "task_switch is written for x86-64 and aarch64"
#endif

/* --- stacks: the guard page, the stack, and on its top the struct task --- */

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static char *stack_bottom(const struct task *t)
{
    uintptr_t top = ((uintptr_t)(t + 1) + 63) & ~(uintptr_t)63;
    return (char *)top - TASK_STACK_BYTES;
}

static struct task *stack_map(void)
{
    char *memory = mmap(NULL, page_bytes() + TASK_STACK_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

    if (memory == MAP_FAILED)
        return NULL;
    if (mprotect(memory, page_bytes(), PROT_NONE) < 0) {
        munmap(memory, page_bytes() + TASK_STACK_BYTES);
        return NULL;
    }
    char *top = memory + page_bytes() + TASK_STACK_BYTES;
    return (struct task *)((uintptr_t)(top - sizeof(struct task)) & ~(uintptr_t)63);
}

static void stack_unmap(struct task *t)
{
    munmap(stack_bottom(t) - page_bytes(), page_bytes() + TASK_STACK_BYTES);
}

static struct task *stack_take(struct loop *loop)
{
    struct task *t = loop->free_stacks;

    if (!t)
        return stack_map();
    loop->free_stacks = t->next_free;
    loop->free_stack_count--;
    if (loop->free_stack_count < loop->free_stack_least)
        loop->free_stack_least = loop->free_stack_count;
    return t;
}

static void stack_give_back(struct loop *loop, struct task *t)
{
    if (loop->free_stack_count >= TASK_STACKS_POOLED) {
        stack_unmap(t);
        return;
    }
    t->next_free = loop->free_stacks;
    loop->free_stacks = t;
    loop->free_stack_count++;
}

static void free_stacks(struct loop *loop, unsigned count)
{
    for (; count > 0 && loop->free_stacks; count--) {
        struct task *t = loop->free_stacks;
        loop->free_stacks = t->next_free;
        loop->free_stack_count--;
        stack_unmap(t);
    }
}

void task_free_stacks(struct loop *loop)
{
    free_stacks(loop, UINT_MAX);
}

bool task_trim_stacks(struct loop *loop)
{
    if (loop->free_stack_least > TASK_STACKS_RESTING)
        free_stacks(loop, loop->free_stack_least - TASK_STACKS_RESTING);
    loop->free_stack_least = loop->free_stack_count;
    return loop->free_stack_count <= TASK_STACKS_RESTING;
}

/* --- switching, told to the sanitizers: they keep a shadow of each stack --- */

static void enter_task(struct loop *loop, struct task *t)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&loop->sanitizer_fiber, stack_bottom(t), TASK_STACK_BYTES);
#elif defined(__SANITIZE_THREAD__)
    loop->sanitizer_fiber = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(t->sanitizer_fiber, 0);
#endif
    task_switch(&loop->stack_pointer, t->stack_pointer);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(loop->sanitizer_fiber, NULL, NULL);
#endif
}

static void arrive_in_task(struct task *t)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(t->sanitizer_fake_stack, &t->loop->sanitizer_stack,
                                    &t->loop->sanitizer_stack_bytes);
#else
    (void)t;
#endif
}

static void leave_task(struct task *t)
{
#if defined(__SANITIZE_ADDRESS__)
    /* A NULL fake stack: this stack ends here. */
    __sanitizer_start_switch_fiber(t->ended ? NULL : &t->sanitizer_fake_stack,
                                   t->loop->sanitizer_stack, t->loop->sanitizer_stack_bytes);
#elif defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(t->loop->sanitizer_fiber, 0);
#endif
    task_switch(&t->stack_pointer, t->loop->stack_pointer);
    arrive_in_task(t);
}

void task_main(struct task *t)
{
    arrive_in_task(t);
    t->fn(t, t->arg);
    assert(list_empty(&t->operations));
    t->ended = true;
    leave_task(t);
    __builtin_unreachable();
}

/* --- the life of a task --- */

static void deadline_expired(struct timer *timer)
{
    task_cancel(container_of(timer, struct task, deadline), -ETIMEDOUT);
}

static void sleep_expired(struct timer *timer)
{
    struct task *t = container_of(timer, struct task, sleep);

    t->sleeping = false;
    task_resume(t);
}

int task_spawn(struct loop *loop, task_fn *fn, void *arg)
{
    struct task *t = stack_take(loop);

    if (!t)
        return -ENOMEM;
    *t = (struct task){.loop = loop, .fn = fn, .arg = arg};
    list_init(&t->operations);
    timer_init(&t->deadline, deadline_expired);
    timer_init(&t->sleep, sleep_expired);
    t->stack_pointer = first_frame((char *)t, t);
#if defined(__SANITIZE_THREAD__)
    t->sanitizer_fiber = __tsan_create_fiber(0);
#endif
    loop->task_count++;
    task_resume(t);
    return 0;
}

static void task_end(struct task *t)
{
    timer_stop(&t->loop->timers, &t->deadline);
    timer_stop(&t->loop->timers, &t->sleep);
#if defined(__SANITIZE_THREAD__)
    __tsan_destroy_fiber(t->sanitizer_fiber);
#endif
    t->loop->task_count--;
    stack_give_back(t->loop, t);
}

void task_resume(struct task *t)
{
    struct loop *loop = t->loop;
    struct task *outer = loop->running;

    /* A task may spawn another: the inner one returns here at its first suspension. */
    void *outer_sp = loop->stack_pointer;
    void *outer_fiber = loop->sanitizer_fiber;
    const void *outer_stack = loop->sanitizer_stack;
    size_t outer_stack_bytes = loop->sanitizer_stack_bytes;

    assert(outer != t);
    loop->running = t;
    enter_task(loop, t);
    loop->running = outer;
    loop->stack_pointer = outer_sp;
    loop->sanitizer_fiber = outer_fiber;
    loop->sanitizer_stack = outer_stack;
    loop->sanitizer_stack_bytes = outer_stack_bytes;
    if (t->ended)
        task_end(t);
}

void task_suspend(struct task *t)
{
    assert(t->loop->running == t);
    leave_task(t);
}

struct loop *task_loop(const struct task *t)
{
    return t->loop;
}

int task_cancelled(const struct task *t)
{
    return t->cancelled;
}

void task_revive(struct task *t)
{
    if (t->cancelled == -ETIMEDOUT)
        t->cancelled = 0;
}

void task_set_deadline(struct task *t, uint64_t deadline_ms)
{
    timer_set(&t->loop->timers, &t->deadline, deadline_ms);
}

void task_cancel(struct task *t, int reason)
{
    struct loop *loop = t->loop;

    assert(reason < 0);
    if (t->cancelled == reason || t->cancelled == -ECANCELED)
        return;
    t->cancelled = reason;
    for (struct list *node = t->operations.next; node != &t->operations; node = node->next)
        loop->backend->cancel(loop->backend_state, container_of(node, struct io_op, link)->id);
    if (t->sleeping && loop->running != t) {
        /* Woken by the wheel, not from here: the caller may stand in the middle of something. */
        timer_set(&loop->timers, &t->sleep, loop->now_ms);
    }
}
