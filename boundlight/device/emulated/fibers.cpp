#include "boundlight/device/emulated/fibers.hpp"

#include <ucontext.h>

#include <algorithm>
#include <csetjmp>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "boundlight/core/contract.hpp"
#include "boundlight/device/error.hpp"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace boundlight::emulated {
namespace {

constexpr std::size_t kStack = 128 * 1024;
constexpr std::uint32_t kMostThreads = 1024;             // of a block
constexpr std::size_t kMostShared = 48 * 1024;           // what every GPU grants without asking

// Threads of a kernel run one after the other on one host thread, so a race between them would never show. ThreadSanitizer is told
// that they are threads: each runs as one of a few contexts of its own, ordered with the others by what orders them on a GPU alone:
// the launch, the block's barriers and the launch's end. The scheduler's own state is kept out of it (BL_UNRACED).
#if defined(__SANITIZE_THREAD__)
#define BL_UNRACED __attribute__((no_sanitize_thread))
extern "C" void AnnotateIgnoreWritesBegin(const char* file, int line);
extern "C" void AnnotateIgnoreWritesEnd(const char* file, int line);
using Context = void*;
constexpr int kContexts = 7;  // of a fiber: neighbouring threads, and the same thread of neighbouring blocks, get different ones
Context new_context() { return __tsan_create_fiber(0); }
void drop_context(Context c) { __tsan_destroy_fiber(c); }
BL_UNRACED Context context() { return __tsan_get_current_fiber(); }
BL_UNRACED void go_to(Context c) { __tsan_switch_to_fiber(c, __tsan_switch_to_fiber_no_sync); }
BL_UNRACED void happened(void* event) { __tsan_release(event); }
BL_UNRACED void saw(void* event) { __tsan_acquire(event); }
struct Unwatched {
  Unwatched() { AnnotateIgnoreWritesBegin(__FILE__, __LINE__); }
  ~Unwatched() { AnnotateIgnoreWritesEnd(__FILE__, __LINE__); }
};
#else
#define BL_UNRACED
struct Context {};
constexpr int kContexts = 1;
Context new_context() { return {}; }
void drop_context(Context) {}
Context context() { return {}; }
void go_to(Context) {}
void happened(void*) {}
void saw(void*) {}
struct Unwatched {
  Unwatched() {}
};
#endif

// swapcontext() asks the kernel for the signal mask, twice per barrier and thread: nine tenths of an emulated bound. A jump does not; a
// fortified build refuses jumps between stacks, and sanitizers follow swapcontext() alone.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || (defined(_FORTIFY_SOURCE) && _FORTIFY_SOURCE > 0)
constexpr bool kJumps = false;
#else
constexpr bool kJumps = true;
#endif

// What a sanitizer must be told about a switch between stacks.
struct Stack {
  ucontext_t context{};
  jmp_buf place{};
  bool entered = false;  // left at `place`, to go on there
#if defined(__SANITIZE_ADDRESS__)
  const void* bottom = nullptr;
  std::size_t size = 0;
  void* fake = nullptr;
#endif
#if defined(__SANITIZE_THREAD__)
  void* tsan = nullptr;
#endif
};

void switch_stack(Stack& from, Stack& to, [[maybe_unused]] bool from_ends) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(from_ends ? nullptr : &from.fake, to.bottom, to.size);
#endif
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(to.tsan, 0);
#endif
  if constexpr (kJumps) {
    from.entered = true;
    if (_setjmp(from.place) == 0) {
      if (to.entered) _longjmp(to.place, 1);
      setcontext(&to.context);
    }
  } else {
    swapcontext(&from.context, &to.context);
  }
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(from.fake, nullptr, nullptr);
#endif
}

class Scheduler;

struct Fiber {
  explicit Fiber(Scheduler* owner);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;
  Stack stack;
  std::unique_ptr<std::byte[]> memory;
  Scheduler* scheduler;
  std::uint32_t thread = 0;
  int line = 0;  // of the barrier it waits at
  Context home{}, contexts[kContexts];
  unsigned turn = 0;
};

// One per host thread that launches.
class Scheduler {
 public:
  Scheduler() {
    const char* order = std::getenv("BOUNDLIGHT_EMULATED_ORDER");
    const char* seed = std::getenv("BOUNDLIGHT_EMULATED_SEED");
    const std::string_view name = order ? order : "";
    set_order(name == "descending" ? Order::descending : name == "shuffled" ? Order::shuffled : Order::ascending,
              seed ? std::strtoull(seed, nullptr, 10) : 1);
    const char* failing = std::getenv("BOUNDLIGHT_EMULATED_FAIL");
    if (failing) launches_left_ = std::strtoll(failing, nullptr, 10);
  }

  void set_order(Order order, std::uint64_t seed) {
    order_ = order;
    state_ = seed;
  }
  std::uint64_t random() {  // splitmix64 (Steele, Lea and Flood 2014)
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  }

  void run(const Launch& launch) {
    demand(!launch_, "a kernel launches a kernel");
    if (launches_left_ > 0 && --launches_left_ == 0) throw DeviceError("a launch failed: the failure that BOUNDLIGHT_EMULATED_FAIL asks for");
    launch_ = &launch;
    here_.threads = launch.block;
    here_.grid = launch.grid;
    happened(&launched_);
    try {
      for (const std::uint32_t b : ordered(launch.grid.width * launch.grid.height)) run_block(b);
    } catch (...) {
      leave();
      throw;
    }
    leave();
  }

  BL_UNRACED Place here() const { return here_; }
  BL_UNRACED Fiber* running() const { return running_; }
  BL_UNRACED void wait(int line) {
    Fiber* const self = running();
    demand(self != nullptr, "barrier() outside of a kernel");
    const Context thread = context();
    void* const all_arrived = barrier_event();
    happened(all_arrived);
    happened(&ended_);  // for a launch that fails while this thread waits
    go_to(self->home);
    set_aside(self, line);
    go_to(thread);
    saw(all_arrived);
  }

 private:
  friend struct Fiber;

  // One address per block in flight, so that a barrier orders the threads of its block alone.
  BL_UNRACED void* barrier_event() { return &barriers_[(here_.block + std::size_t{here_.block_row} * here_.grid.width) % sizeof barriers_]; }

  // The running thread waits until round() resumes it.
  void set_aside(Fiber* self, int line) {
    self->line = line;
    waiting_.push_back(self);
    running_ = nullptr;
    switch_stack(self->stack, main_, false);
    here_.thread = self->thread;
  }

  void leave() noexcept {
    saw(&ended_);
    launch_ = nullptr;
    here_ = {};
    if (waiting_.empty()) return;
    waiting_.clear();  // frames of threads that will never go on: their stacks go as well
    fibers_.clear();
    idle_.clear();
  }

  std::vector<std::uint32_t> ordered(std::uint32_t n) {
    std::vector<std::uint32_t> v(n);
    std::iota(v.begin(), v.end(), 0U);
    if (order_ == Order::descending) std::reverse(v.begin(), v.end());
    if (order_ == Order::shuffled)
      for (std::uint32_t i = n; i > 1; --i) std::swap(v[i - 1], v[random() % i]);
    return v;
  }

  void run_block(std::uint32_t block) {
    here_.block = block % launch_->grid.width;
    here_.block_row = block / launch_->grid.width;
    fresh_scratch();
    todo_ = ordered(launch_->block);
    next_ = 0;
    while (next_ < todo_.size()) enter(take_idle());
    while (!waiting_.empty()) round();
  }

  // NaN: scratch starts with anything. New for every block: what one block leaves there, no other can read.
  void fresh_scratch() {
    const Unwatched unwatched;
    shared_.reset(new std::byte[launch_->shared_bytes]);
    std::memset(shared_.get(), 0xff, launch_->shared_bytes);
    here_.shared = shared_.get();
  }

  // All threads wait, at one line: resume them.
  void round() {
    for (const Fiber* f : waiting_)
      if (f->line != waiting_.front()->line)
        throw DeviceError("threads of one block wait at different barriers: thread " + std::to_string(f->thread) + " at line " +
                          std::to_string(f->line) + ", thread " + std::to_string(waiting_.front()->thread) + " at line " +
                          std::to_string(waiting_.front()->line));
    if (waiting_.size() != launch_->block)
      throw DeviceError("barrier at line " + std::to_string(waiting_.front()->line) + ": " + std::to_string(waiting_.size()) +
                        " threads wait, " + std::to_string(launch_->block - waiting_.size()) + " have ended");
    std::vector<Fiber*> by_thread(launch_->block);
    for (Fiber* f : waiting_) by_thread[f->thread] = f;
    waiting_.clear();
    for (const std::uint32_t t : ordered(launch_->block)) enter(by_thread[t]);
  }

  Fiber* take_idle() {
    if (idle_.empty()) {
      fibers_.push_back(std::make_unique<Fiber>(this));
      return fibers_.back().get();
    }
    Fiber* f = idle_.back();
    idle_.pop_back();
    return f;
  }

  // Runs a fiber until it waits or has no thread left.
  void enter(Fiber* fiber) {
    running_ = fiber;
#if defined(__SANITIZE_THREAD__)
    main_.tsan = __tsan_get_current_fiber();
#endif
    switch_stack(main_, fiber->stack, false);
    if (failure_) {
      if (waiting_.empty()) waiting_.push_back(fiber);  // makes leave() drop the stacks
      std::rethrow_exception(std::exchange(failure_, nullptr));
    }
  }

  // The body of every fiber: threads of the block until none is left, again and again.
  void body(Fiber* self) {
    for (;;) {
      try {
        while (next_ < todo_.size()) {
          running_ = self;
          self->thread = here_.thread = todo_[next_++];
          run_thread(self, *launch_);
        }
      } catch (...) {
        failure_ = std::current_exception();
        next_ = todo_.size();
      }
      running_ = nullptr;
      idle_.push_back(self);
      switch_stack(self->stack, main_, false);
    }
  }

  BL_UNRACED void run_thread(Fiber* self, const Launch& launch) {
    struct Away {  // back home also when the kernel throws
      Scheduler* scheduler;
      Context home;
      BL_UNRACED ~Away() {
        happened(&scheduler->ended_);
        go_to(home);
      }
    };
    self->home = context();
    go_to(self->contexts[self->turn++ % kContexts]);
    saw(&launched_);
    const Away away{this, self->home};
    launch.thread(launch.call);
  }

  static void entry(unsigned high, unsigned low) {
    auto* const fiber = reinterpret_cast<Fiber*>(static_cast<std::uintptr_t>((std::uint64_t{high} << 32) | low));
#if defined(__SANITIZE_ADDRESS__)
    Stack& main = fiber->scheduler->main_;
    __sanitizer_finish_switch_fiber(nullptr, &main.bottom, &main.size);
#endif
    fiber->scheduler->body(fiber);
  }

  Order order_ = Order::ascending;
  std::uint64_t state_ = 1;
  const Launch* launch_ = nullptr;
  Place here_;
  std::unique_ptr<std::byte[]> shared_;
  std::vector<std::uint32_t> todo_;
  std::size_t next_ = 0;
  Stack main_;
  Fiber* running_ = nullptr;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_, waiting_;
  std::exception_ptr failure_;
  long long launches_left_ = 0;  // until one fails on purpose; 0: none does
  char launched_ = 0, ended_ = 0, barriers_[64] = {};  // addresses of events
};

Fiber::Fiber(Scheduler* owner) : memory(new std::byte[kStack]), scheduler(owner) {
  for (Context& c : contexts) c = new_context();
  getcontext(&stack.context);
  stack.context.uc_stack.ss_sp = memory.get();
  stack.context.uc_stack.ss_size = kStack;
  stack.context.uc_link = nullptr;
#if defined(__SANITIZE_ADDRESS__)
  stack.bottom = memory.get();
  stack.size = kStack;
#endif
#if defined(__SANITIZE_THREAD__)
  stack.tsan = __tsan_create_fiber(0);
#endif
  const auto address = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(this));
  makecontext(&stack.context, reinterpret_cast<void (*)()>(&Scheduler::entry), 2, static_cast<unsigned>(address >> 32),
              static_cast<unsigned>(address & 0xffffffffU));
}

Fiber::~Fiber() {
  for (const Context c : contexts) drop_context(c);
#if defined(__SANITIZE_THREAD__)
  __tsan_destroy_fiber(stack.tsan);
#endif
}

BL_UNRACED Scheduler& scheduler() {
  thread_local Scheduler one;
  return one;
}

}  // namespace

BL_UNRACED Place place() { return scheduler().here(); }
BL_UNRACED void wait_at_barrier(int line) { scheduler().wait(line); }
void set_order(Order order, std::uint64_t seed) { scheduler().set_order(order, seed); }
std::uint64_t next_random() { return scheduler().random(); }

void run_blocks(const Launch& l) {
  const bool grid = l.grid.width >= 1 && l.grid.width <= 0x7fffffff && l.grid.height >= 1 && l.grid.height <= 65535;
  if (!grid || l.block < 1 || l.block > kMostThreads || l.shared_bytes > kMostShared)
    throw DeviceError("a launch failed: grid " + std::to_string(l.grid.width) + " x " + std::to_string(l.grid.height) + ", " +
                      std::to_string(l.block) + " threads, " + std::to_string(l.shared_bytes) + " bytes of shared memory");
  scheduler().run(l);
}

}  // namespace boundlight::emulated
