// EntryList: which elements every output of an operator reads. Host side; planes.hpp has it on a device.
#pragma once

#include <cstdint>
#include <vector>

namespace boundlight {

// What every output reads: elements of the inputs laid out one behind the other (constants included).
struct EntryList {
  std::vector<std::int64_t> at{0};      // entries of output e: [at[e], at[e + 1])
  std::vector<std::int64_t> element;    // position in the concatenation of all inputs
  void end_output() { at.push_back(static_cast<std::int64_t>(element.size())); }
};

}  // namespace boundlight
