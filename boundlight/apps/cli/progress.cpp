#include "boundlight/apps/cli/progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

namespace boundlight::cli {

ProgressLine::ProgressLine() : start_(StopToken::Clock::now()), last_(start_), terminal_(isatty(STDERR_FILENO) != 0) {}

ProgressLine::~ProgressLine() {
  if (drawn_) std::fprintf(stderr, "\r\033[K");
}

ProgressSink ProgressLine::sink() {
  if (!terminal_) return {};
  return [this](std::string_view what, double done, double total) { draw(what, done, total); };
}

void ProgressLine::draw(std::string_view what, double done, double total) {
  const auto now = StopToken::Clock::now();
  if (now - last_ < std::chrono::milliseconds(100)) return;
  last_ = now;
  drawn_ = true;
  constexpr int kWidth = 24;
  const double share = total > 0 ? std::clamp(done / total, 0.0, 1.0) : 0;
  const int full = static_cast<int>(share * kWidth);
  const double spent = std::chrono::duration<double>(now - start_).count();
  char left[32] = "";
  if (share > 0.01) std::snprintf(left, sizeof left, " %.0f s left", spent / share - spent);
  std::fprintf(stderr, "\r\033[K[%s%s] %3.0f %%%s %.60s", std::string(static_cast<std::size_t>(full), '#').c_str(), std::string(static_cast<std::size_t>(kWidth - full), ' ').c_str(), 100 * share, left,
               std::string(what).c_str());
  std::fflush(stderr);
}

}  // namespace boundlight::cli
