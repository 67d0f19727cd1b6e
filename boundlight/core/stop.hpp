// Stopping and progress for long work. A StopToken combines a shared flag (Ctrl-C, a user's cancel) with a deadline;
// workers poll stop_requested() between blocks of work and return the best sound answer so far, marked as interrupted.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

namespace boundlight {

class StopToken {
 public:
  using Clock = std::chrono::steady_clock;

  StopToken() = default;  // never stops
  static StopToken after(double seconds) {
    StopToken t;
    t.deadline_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    return t;
  }
  // The flag outlives the token (a signal handler's static, or owned by the caller).
  static StopToken on(const std::atomic<bool>* flag) {
    StopToken t;
    t.flag_ = flag;
    return t;
  }
  [[nodiscard]] StopToken with_deadline(double seconds) const {
    StopToken t = *this;
    const auto d = after(seconds).deadline_;
    if (!t.deadline_ || *d < *t.deadline_) t.deadline_ = d;
    return t;
  }
  [[nodiscard]] bool cancelled() const { return flag_ && flag_->load(std::memory_order_relaxed); }
  [[nodiscard]] bool expired() const { return deadline_ && Clock::now() >= *deadline_; }
  [[nodiscard]] bool stop_requested() const { return cancelled() || expired(); }
  // Seconds until the deadline; nothing when there is none.
  [[nodiscard]] std::optional<double> remaining() const {
    if (!deadline_) return std::nullopt;
    return std::chrono::duration<double>(*deadline_ - Clock::now()).count();
  }

 private:
  const std::atomic<bool>* flag_ = nullptr;
  std::optional<Clock::time_point> deadline_;
};

// done of total (total 0: unknown), and what is being done. Called from one thread at a time; must be quick.
using ProgressSink = std::function<void(std::string_view what, double done, double total)>;

}  // namespace boundlight
