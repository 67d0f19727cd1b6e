// Bytes of plain structures, both ways, for state files. One description per structure: fields(archive, x) names its members.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "boundlight/solver/bab/search.hpp"

namespace boundlight::bab {

template <class T>
concept Plain = std::is_arithmetic_v<T> || std::is_enum_v<T>;

class Writer {
 public:
  static constexpr bool kReads = false;
  std::string bytes;

  void raw(const void* from, std::size_t n) { bytes.append(static_cast<const char*>(from), n); }
  std::size_t count(std::size_t n) {
    const auto wide = static_cast<std::uint64_t>(n);
    raw(&wide, sizeof wide);
    return n;
  }
};

// Reading past the end gives zeros and clears `good`.
class Reader {
 public:
  static constexpr bool kReads = true;
  explicit Reader(std::string_view from) : left(from) {}
  std::string_view left;
  bool good = true;

  void raw(void* to, std::size_t n) {
    good = good && n <= left.size();
    if (!good) {
      std::memset(to, 0, n);
      return;
    }
    std::memcpy(to, left.data(), n);
    left.remove_prefix(n);
  }
  std::size_t count(std::size_t) {
    std::uint64_t n = 0;
    raw(&n, sizeof n);
    good = good && n <= left.size();  // every element takes a byte
    return good ? static_cast<std::size_t>(n) : 0;
  }
};

template <class A, Plain T>
void field(A& a, T& x) {
  a.raw(&x, sizeof x);
}
template <class A>
void field(A& a, std::string& s) {
  s.resize(a.count(s.size()));
  if (!s.empty()) a.raw(s.data(), s.size());
}
template <class A>
void field(A& a, std::vector<bool>& v) {
  v.resize(a.count(v.size()));
  for (std::size_t i = 0; i < v.size(); ++i) {
    auto b = static_cast<std::uint8_t>(v[i] ? 1 : 0);
    a.raw(&b, 1);
    v[i] = b != 0;
  }
}
template <class A, class T>
void field(A& a, std::vector<T>& v) {
  v.resize(a.count(v.size()));
  for (T& x : v) field(a, x);
}
template <class A, class T>
void field(A& a, std::shared_ptr<const std::vector<T>>& p) {
  std::vector<T> v = p ? *p : std::vector<T>{};
  field(a, v);
  if constexpr (A::kReads) p = v.empty() ? nullptr : std::make_shared<const std::vector<T>>(std::move(v));
}
template <class A, class T>
  requires requires(A& a, T& x) { fields(a, x); }
void field(A& a, T& x) {
  fields(a, x);
}
template <class A, class... T>
void all(A& a, T&... x) {
  (field(a, x), ...);
}

}  // namespace boundlight::bab

// Found by argument-dependent look-up beside the structures.
namespace boundlight::check {
template <class A> void fields(A& a, Slopes& s) { bab::all(a, s.value, s.width, s.neurons, s.numbers); }
template <class A> void fields(A& a, Cut& c) { bab::all(a, c.dimension, c.above, c.at); }
template <class A> void fields(A& a, Node& n) { bab::all(a, n.kind, n.low, n.high, n.value, n.neuron, n.at, n.lambda, n.beta, n.cuts, n.slopes, n.bounds); }
}  // namespace boundlight::check

namespace boundlight::bab {
template <class A> void fields(A& a, SearchTree::Leaf& l) { all(a, l.node, l.target, l.data); }
template <class A> void fields(A& a, SearchTree& t) { all(a, t.nodes, t.leaves); }
}  // namespace boundlight::bab
