#include "boundlight/models/errors.hpp"

#include <algorithm>
#include <cstdint>

namespace boundlight {
namespace {

// The length of the UTF-8 sequence that `text` begins with (RFC 3629: no overlong forms, no surrogates), or 0.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const auto lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xC2 && lead <= 0xDF ? 2 : (lead & 0xF0U) == 0xE0 ? 3 : lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) if ((byte(i) & 0xC0U) != 0x80) return 0;
  const auto second = byte(1);
  if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F)) return 0;
  if ((lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F)) return 0;
  return length;
}

struct Escaped {
  std::string text;
  std::string_view rest;  // what did not fit
};

// Stops at `most` bytes, so that a megabyte of a name is never walked.
Escaped escaped(std::string_view text, std::size_t most) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  while (!text.empty()) {
    const auto n = sequence_length(text);
    const auto c = static_cast<std::uint8_t>(text[0]);
    const bool plain = n != 0 && c >= 0x20 && c != 0x7F;
    const std::size_t length = plain ? n : 1;
    if (out.size() + (plain ? n : 4) > most) break;
    if (plain) out += text.substr(0, length);
    else ((out += "\\x") += kDigits[c >> 4]) += kDigits[c & 15U];
    text.remove_prefix(length);
  }
  return {std::move(out), text};
}

}  // namespace

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const auto n = sequence_length(text);
    if (n == 0) return false;
    text.remove_prefix(n);
  }
  return true;
}

std::string printable(std::string_view text, std::size_t most) {
  const auto start = escaped(text, most);
  if (start.rest.empty()) return start.text;
  const auto tail = text.substr(text.size() - std::min(start.rest.size(), most / 8));  // at most `most` / 2 when escaped
  return escaped(text, most / 2).text + " ... " + escaped(tail, most).text;
}

}  // namespace boundlight
