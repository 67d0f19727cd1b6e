// A progress line on standard error, only where that is a terminal.
#pragma once

#include "boundlight/core/stop.hpp"

namespace boundlight::cli {

class ProgressLine {
 public:
  ProgressLine();
  ~ProgressLine();  // clears the line
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  // Empty where standard error is no terminal. Draws at most ten times a second.
  ProgressSink sink();

 private:
  void draw(std::string_view what, double done, double total);
  StopToken::Clock::time_point start_, last_;
  bool terminal_ = false, drawn_ = false;
};

}  // namespace boundlight::cli
