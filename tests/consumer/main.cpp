// Uses the installed library from outside: reads a file that does not exist and one that does.
#include <cstdio>

#include "boundlight/core/files.hpp"
#include "boundlight/core/interval.hpp"

int main(int, char** arguments) {
  const auto missing = boundlight::read_file("no-such-file");
  if (missing.ok()) return 1;
  const auto self = boundlight::read_file(arguments[0]);
  if (!self.ok() || boundlight::sha256_hex(self.value()).size() != 64) return 2;
  const boundlight::Interval third = boundlight::Interval(1) / boundlight::Interval(3);
  if (!(third.lo < third.hi)) return 3;
  std::printf("1/3 lies in [%.17g, %.17g]; %s\n", third.lo, third.hi, missing.error().text().c_str());
  return 0;
}
