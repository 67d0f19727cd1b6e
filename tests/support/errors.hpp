// What every error of a reader must be: one line, with a place, naming what the test expects.
#pragma once

#include <catch2/catch.hpp>
#include <string>

#include "boundlight/core/result.hpp"

namespace boundlight::test {

template <class T>
void check_refused(const Result<T>& result, const std::string& place, const std::string& words,
                   ErrorKind kind = ErrorKind::bad_input) {
  if (result.ok()) {
    FAIL_CHECK("accepted, but should be refused at " << place << " with \"" << words << "\"");
    return;
  }
  const Error& error = result.error();
  INFO(error.text());
  CHECK(error.kind == kind);
  CHECK(error.place.find(place) != std::string::npos);
  CHECK(error.message.find(words) != std::string::npos);
  CHECK(error.text().find('\n') == std::string::npos);
  CHECK(error.text().size() < 900);
}

}  // namespace boundlight::test
