// The errors of this room's readers. Names in them come from files that nobody has vouched for, so they are made
// printable: control characters and bytes that are not UTF-8 become \xNN, very long texts lose their middle.
#pragma once

#include <string>
#include <string_view>

#include "boundlight/core/result.hpp"

namespace boundlight {

std::string printable(std::string_view text, std::size_t most = 400);
bool is_utf8(std::string_view text);

inline Error bad_input(std::string_view place, std::string_view message) {
  return {ErrorKind::bad_input, printable(place), printable(message)};
}
inline Error unsupported(std::string_view place, std::string_view message) {
  return {ErrorKind::unsupported, printable(place), printable(message)};
}
inline Error io_trouble(std::string_view place, std::string_view message) {
  return {ErrorKind::io, printable(place), printable(message)};
}
inline Error too_big(std::string_view place, std::string_view message) {
  return {ErrorKind::out_of_memory, printable(place), printable(message)};
}

}  // namespace boundlight
