// Structures as bytes and back. A structure names its fields once, for both directions:
//   template <class Io> void fields(Io& io, Thing& t) { io.all(t.count, t.name, t.parts); }
// Unsigned numbers, flags and enumerations are LEB128 (seven bits per byte, low first, at most nine bytes), float and double
// IEEE little endian, texts and lists a length and their elements. No padding.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "boundlight/core/contract.hpp"

namespace boundlight {

// What is wrong with the bytes; thrown, and caught where reading began.
struct BadBytes {
  std::size_t at = 0;
  const char* why = "";
};

// The greatest value of an enumeration; readers refuse others. To be specialised beside the enumeration.
template <class E> inline constexpr std::uint64_t kLastOf = 1;

template <class N> concept Whole = std::unsigned_integral<N> && !std::same_as<N, bool>;
template <class E> concept Kind = std::is_enum_v<E> || std::same_as<E, bool>;

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes, std::size_t from = 0) : in_(bytes), at_(from) {}

  [[nodiscard]] std::size_t place() const { return at_; }
  void need(bool holds, const char* otherwise) const { if (!holds) throw BadBytes{at_, otherwise}; }
  void end() const { need(at_ == in_.size(), "there are bytes after the end"); }

  std::uint64_t fixed(int bytes) {
    std::uint64_t v = 0;
    for (int i = 0; i < bytes; ++i) {
      need(at_ < in_.size(), "the bytes end too early");
      v |= std::uint64_t{static_cast<unsigned char>(in_[at_++])} << (8 * i);
    }
    return v;
  }
  std::uint64_t number(std::uint64_t most) {
    std::uint64_t v = 0, b = 128;
    for (int shift = 0; b >= 128; shift += 7) {
      need(shift < 63, "a number has more than nine bytes");
      b = fixed(1);
      v |= (b & 127) << shift;
    }
    need(v <= most, "a number is too large for its field");
    return v;
  }
  // The length of a list; every element takes at least `bytes`, so no memory is asked for that the bytes cannot fill.
  std::size_t length(std::size_t bytes = 1) {
    const std::uint64_t n = number(UINT64_MAX);
    need(n <= (in_.size() - at_) / bytes, "a list is longer than the bytes that are left");
    return static_cast<std::size_t>(n);
  }

  template <class... V> void all(V&... v) { (one(v), ...); }
  template <Whole U> void one(U& v) { v = static_cast<U>(number(std::numeric_limits<U>::max())); }
  template <Kind E> void one(E& e) {
    const std::uint64_t code = number(UINT64_MAX);
    need(code <= kLastOf<E>, "an unknown kind or flag");
    e = static_cast<E>(code);
  }
  void one(double& x) { x = std::bit_cast<double>(fixed(8)); }
  void one(float& x) { x = std::bit_cast<float>(static_cast<std::uint32_t>(fixed(4))); }
  void one(std::string& s) {
    const std::size_t n = length();
    s = in_.substr(at_, n);
    at_ += n;
  }
  template <class T> void one(std::vector<T>& v) {
    for (std::size_t n = length(); n > 0; --n) one(v.emplace_back());
  }
  template <class T> requires requires(ByteReader& r, T& t) { fields(r, t); } void one(T& t) { fields(*this, t); }

  // Rising numbers, as differences to the one before (the first as it is, later ones at least 1).
  void rising(std::vector<std::uint32_t>& v) {
    for (std::size_t n = length(); n > 0; --n) {
      const std::uint64_t step = number(UINT32_MAX), next = v.empty() ? step : v.back() + step;
      need(next <= UINT32_MAX && (v.empty() || step > 0), "indices do not rise");
      v.push_back(static_cast<std::uint32_t>(next));
    }
  }
  // Numbers of `width` (1 or 2) bytes each.
  void packed(std::vector<std::uint16_t>& v, int width) {
    need(width == 1 || width == 2, "numbers have neither one nor two bytes");
    for (std::size_t n = length(static_cast<std::size_t>(width)); n > 0; --n) v.push_back(static_cast<std::uint16_t>(fixed(width)));
  }

 private:
  std::string_view in_;
  std::size_t at_;
};

class ByteWriter {
 public:
  std::string out;

  void number(std::uint64_t v) {
    for (; v >= 128; v >>= 7) out += static_cast<char>(v | 128);
    out += static_cast<char>(v);
  }
  void fixed(std::uint64_t v, int bytes) {
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(v >> (8 * i));
  }

  template <class... V> void all(V&... v) { (one(v), ...); }
  template <class N> requires Whole<N> || Kind<N> void one(const N& v) { number(static_cast<std::uint64_t>(v)); }
  void one(double x) { fixed(std::bit_cast<std::uint64_t>(x), 8); }
  void one(float x) { fixed(std::bit_cast<std::uint32_t>(x), 4); }
  void one(const std::string& s) {
    number(s.size());
    out += s;
  }
  template <class T> void one(std::vector<T>& v) {
    number(v.size());
    for (T& x : v) one(x);
  }
  template <class T> requires requires(ByteWriter& w, T& t) { fields(w, t); } void one(T& t) { fields(*this, t); }

  // Precondition: the numbers rise.
  void rising(const std::vector<std::uint32_t>& v) {
    number(v.size());
    for (std::size_t i = 0; i < v.size(); ++i) {
      demand(i == 0 || v[i] > v[i - 1], "indices that are written must rise");
      number(i == 0 ? v[0] : v[i] - v[i - 1]);
    }
  }
  void packed(const std::vector<std::uint16_t>& v, int width) {
    number(v.size());
    for (const std::uint16_t x : v) fixed(x, width);
  }
};

}  // namespace boundlight
