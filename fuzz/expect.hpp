// What a fuzzing target checks: a condition that must hold for every input, and the form of every error.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

#include "boundlight/core/result.hpp"

namespace boundlight::fuzz {

inline void expect(bool holds, const std::string& what) {
  if (holds) return;
  std::fprintf(stderr, "expectation failed: %s\n", what.c_str());
  std::abort();
}

// One line with a place and a message, not longer than a screen's width times eight.
inline void expect_sentence(const Error& error) {
  expect(!error.place.empty() && !error.message.empty(), "error without place or message: " + error.text());
  expect(error.text().find('\n') == std::string::npos, "error of several lines: " + error.text());
  expect(error.text().size() < 1000, "long error: " + error.text());
}

}  // namespace boundlight::fuzz
