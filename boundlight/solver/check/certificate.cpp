#include "boundlight/solver/check/certificate.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstring>

#include "boundlight/core/contract.hpp"

namespace boundlight::check {
namespace {

constexpr std::string_view kMagic("BLCERT\x01\n", 8);

// Writer and Reader offer the same verbs, so that one description of each structure serves both directions.
struct Writer {
  static constexpr bool reading = false;
  std::string out;

  void number(std::uint64_t v) {  // LEB128
    for (; v >= 128; v >>= 7) out += static_cast<char>(v | 128);
    out += static_cast<char>(v);
  }
  template <class U> void fixed(U bits) {  // little endian
    for (std::size_t i = 0; i < sizeof bits; ++i) out += static_cast<char>(bits >> (8 * i));
  }
  void bytes(const std::string& s) { out += s; }
};

struct Reader {
  static constexpr bool reading = true;
  std::string_view in;
  std::size_t at = 0;
  std::string problem;  // the first one; afterwards everything reads as zero

  [[nodiscard]] std::size_t left() const { return in.size() - at; }
  void fail(const char* what) {
    if (problem.empty()) problem = "byte " + std::to_string(at) + ": " + what;
    at = in.size();
  }
  std::uint64_t byte() {
    if (at < in.size()) return static_cast<unsigned char>(in[at++]);
    fail("the certificate ends too early");
    return 0;
  }
  std::uint64_t number() {
    std::uint64_t v = 0;
    for (int shift = 0; shift < 63; shift += 7) {
      const std::uint64_t b = byte();
      v |= (b & 127) << shift;
      if (b < 128) return v;
    }
    fail("a number has more than nine bytes");
    return 0;
  }
  template <class U> U fixed() {
    U bits = 0;
    for (std::size_t i = 0; i < sizeof bits; ++i) bits = static_cast<U>(bits | static_cast<U>(static_cast<U>(byte()) << (8 * i)));
    return bits;
  }
  void bytes(std::string& s, std::uint64_t n) {
    if (n > left()) return fail("a text is longer than the certificate");
    s = in.substr(at, n);
    at += n;
  }
};

template <class Io, std::unsigned_integral U> void transfer(Io& io, U& v) {
  if constexpr (Io::reading) {
    const std::uint64_t x = io.number();
    if (x > std::numeric_limits<U>::max()) io.fail("a number is too large for its field");
    v = static_cast<U>(x);
  } else {
    io.number(v);
  }
}
template <class Io, class T> requires std::same_as<T, double> || std::same_as<T, float> void transfer(Io& io, T& v) {
  using Bits = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;
  if constexpr (Io::reading) v = std::bit_cast<T>(io.template fixed<Bits>());
  else io.fixed(std::bit_cast<Bits>(v));
}
template <class Io> void transfer(Io& io, bool& v) {
  std::uint8_t bit = v;
  transfer(io, bit);
  if constexpr (Io::reading)
    if (bit > 1) io.fail("a flag is neither 0 nor 1");
  v = bit != 0;
}
template <class Io, class E> requires std::is_enum_v<E> void choose(Io& io, E& v, int last) {
  auto code = static_cast<std::uint8_t>(v);
  transfer(io, code);
  if constexpr (Io::reading)
    if (code > last) io.fail("an unknown kind");
  v = static_cast<E>(code > last ? 0 : code);
}
template <class Io> void transfer(Io& io, std::string& s) {
  std::uint64_t n = s.size();
  transfer(io, n);
  if constexpr (Io::reading) io.bytes(s, n);
  else io.bytes(s);
}
template <class Io> void transfer(Io& io, Slopes& s);
template <class Io> void transfer(Io& io, BackwardStep& s);
template <class Io> void transfer(Io& io, Bounds& b);
template <class Io> void transfer(Io& io, Cut& c);
template <class Io> void transfer(Io& io, Range& r);
template <class Io> void transfer(Io& io, InlineConstraint& c);
template <class Io> void transfer(Io& io, InlineDisjunct& d);
template <class Io> void transfer(Io& io, Statement& s);
template <class Io> void transfer(Io& io, Proof& p);
template <class Io> void transfer(Io& io, TrustedBox& t);

// Every element takes at least one byte, so a count beyond the bytes left is refused before memory is asked for.
template <class Io, class T> void transfer(Io& io, std::vector<T>& v) {
  std::uint64_t n = v.size();
  transfer(io, n);
  if constexpr (Io::reading) {
    if (n > io.left()) return io.fail("a list is longer than the certificate");
    v.clear();
    for (std::uint64_t i = 0; i < n && io.problem.empty(); ++i) transfer(io, v.emplace_back());
  } else {
    for (T& x : v) transfer(io, x);
  }
}

// Rising indices as differences.
template <class Io> void rising(Io& io, std::vector<std::uint32_t>& v) {
  std::uint64_t n = v.size(), last = 0;
  transfer(io, n);
  if constexpr (Io::reading) {
    if (n > io.left()) return io.fail("a list is longer than the certificate");
    v.resize(n);
  }
  for (std::uint64_t i = 0; i < n; ++i) {
    std::uint32_t step = static_cast<std::uint32_t>(v[i] - last);
    if constexpr (!Io::reading) demand(i == 0 || v[i] > last, "serialize: indices must rise");
    transfer(io, step);
    last += step;
    if constexpr (Io::reading) {
      if (last > UINT32_MAX || (i > 0 && step == 0)) return io.fail("indices do not rise");
      v[i] = static_cast<std::uint32_t>(last);
    }
  }
}

template <class Io> void transfer(Io& io, Slopes& s) {
  transfer(io, s.value);
  transfer(io, s.width);
  if constexpr (Io::reading) {
    if (s.width != 1 && s.width != 2) return io.fail("a slope has neither one nor two bytes");
  }
  rising(io, s.neurons);
  std::uint64_t n = s.numbers.size();
  transfer(io, n);
  if constexpr (Io::reading) {
    if (n > io.left() / s.width) return io.fail("a list is longer than the certificate");
    s.numbers.resize(n);
    for (std::uint16_t& q : s.numbers) q = s.width == 1 ? io.template fixed<std::uint8_t>() : io.template fixed<std::uint16_t>();
  } else {
    for (const std::uint16_t q : s.numbers) {
      if (s.width == 1) io.fixed(static_cast<std::uint8_t>(q));
      else io.fixed(q);
    }
  }
}

template <class Io> void transfer(Io& io, BackwardStep& s) {
  transfer(io, s.value);
  choose(io, s.rows, 2);
  rising(io, s.listed);
  transfer(io, s.lower);
  transfer(io, s.upper);
  transfer(io, s.each_lower);
  transfer(io, s.each_upper);
}

template <class Io> void transfer(Io& io, Bounds& b) {
  choose(io, b.mode, 2);
  transfer(io, b.slopes);
  transfer(io, b.steps);
}

template <class Io> void transfer(Io& io, Cut& c) {
  transfer(io, c.dimension);
  transfer(io, c.above);
  transfer(io, c.at);
}

template <class Io> void transfer(Io& io, Range& r) {
  transfer(io, r.dimension);
  transfer(io, r.lower);
  transfer(io, r.upper);
}

template <class Io> void transfer(Io& io, InlineConstraint& c) {
  rising(io, c.inputs);
  transfer(io, c.input_coefficients);
  rising(io, c.outputs);
  transfer(io, c.output_coefficients);
  transfer(io, c.bounds);
  transfer(io, c.strict);
}

template <class Io> void transfer(Io& io, InlineDisjunct& d) { transfer(io, d.constraints); }

template <class Io> void transfer(Io& io, Statement& s) {
  choose(io, s.kind, 1);
  transfer(io, s.title);
  if (s.kind == Statement::Kind::file) return;
  transfer(io, s.base);
  transfer(io, s.lower);
  transfer(io, s.upper);
  transfer(io, s.changes);
  transfer(io, s.members);
  transfer(io, s.disjuncts);
}

template <class Io> void transfer(Io& io, TrustedBox& t) {
  transfer(io, t.value);
  transfer(io, t.lower);
  transfer(io, t.upper);
}

// A node without its children: they follow in preorder.
template <class Io> void one_node(Io& io, Node& n) {
  using Kind = Node::Kind;
  choose(io, n.kind, 3);
  transfer(io, n.bounds);
  transfer(io, n.slopes);
  if (n.kind == Kind::relu_split) transfer(io, n.value);
  if (n.kind == Kind::relu_split || n.kind == Kind::input_split) transfer(io, n.neuron);
  if (n.kind == Kind::input_split) transfer(io, n.at);
  if (n.kind == Kind::leaf || n.kind == Kind::clip) {
    transfer(io, n.lambda);
    transfer(io, n.beta);
  }
  if (n.kind == Kind::clip) transfer(io, n.cuts);
}

int children_of(const Node& n) { return n.kind == Node::Kind::leaf ? 0 : n.kind == Node::Kind::clip ? 1 : 2; }

void write_tree(Writer& io, Tree& tree) {
  std::vector<std::pair<std::int32_t, std::size_t>> open = {{0, 1}};  // node, depth
  std::size_t written = 0;
  while (!open.empty()) {
    const auto [i, depth] = open.back();
    open.pop_back();
    demand(i >= 0 && static_cast<std::size_t>(i) < tree.nodes.size(), "serialize: a node's child is not in the tree");
    demand(++written <= tree.nodes.size() && depth <= kMaxDepth, "serialize: a tree has a cycle or is too deep");
    Node& n = tree.nodes[i];
    one_node(io, n);
    if (children_of(n) > 1) open.emplace_back(n.high, depth + 1);
    if (children_of(n) > 0) open.emplace_back(n.low, depth + 1);
  }
  demand(written == tree.nodes.size(), "serialize: a node of a tree is not reached from its root");
}

void read_tree(Reader& io, Tree& tree) {
  struct Open { std::int32_t parent; bool high; std::size_t depth; };
  std::vector<Open> open = {{-1, false, 1}};
  while (!open.empty() && io.problem.empty()) {
    const Open place = open.back();
    open.pop_back();
    if (place.depth > kMaxDepth) return io.fail("a tree is too deep");
    if (tree.nodes.size() >= INT32_MAX) return io.fail("a tree has too many nodes");
    const auto i = static_cast<std::int32_t>(tree.nodes.size());
    one_node(io, tree.nodes.emplace_back());
    if (place.parent >= 0) (place.high ? tree.nodes[place.parent].high : tree.nodes[place.parent].low) = i;
    if (children_of(tree.nodes[i]) > 1) open.push_back({i, true, place.depth + 1});
    if (children_of(tree.nodes[i]) > 0) open.push_back({i, false, place.depth + 1});
  }
}

template <class Io> void transfer(Io& io, Proof& p) {
  transfer(io, p.statement);
  transfer(io, p.disjunct);
  if constexpr (Io::reading) read_tree(io, p.tree);
  else write_tree(io, p.tree);
}

template <class Io> void transfer(Io& io, Certificate& c) {
  transfer(io, c.engine);
  transfer(io, c.model_sha256);
  transfer(io, c.spec_sha256);
  choose(io, c.semantics, 1);
  choose(io, c.arithmetic, 1);
  transfer(io, c.names);
  transfer(io, c.bounds);
  transfer(io, c.statements);
  transfer(io, c.proofs);
  transfer(io, c.trusted);
}

}  // namespace

std::uint16_t quantised_slope(double t, int width) {
  const double top = width == 1 ? 255.0 : 65535.0;
  return static_cast<std::uint16_t>(std::lround(std::clamp(t, 0.0, 1.0) * top));
}

std::uint32_t Certificate::name_id(std::string_view name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return static_cast<std::uint32_t>(found - names.begin());
  names.emplace_back(name);
  return static_cast<std::uint32_t>(names.size() - 1);
}

std::string serialize(const Certificate& certificate) {
  Writer io;
  io.out = kMagic;
  transfer(io, const_cast<Certificate&>(certificate));  // a writer changes nothing
  return std::move(io.out);
}

Result<Certificate> parse_certificate(std::string_view bytes) {
  if (bytes.size() < kMagic.size() || bytes.substr(0, kMagic.size()) != kMagic)
    return Error{ErrorKind::bad_input, "byte 0", "not a certificate of version 1"};
  Reader io{bytes, kMagic.size(), {}};
  Certificate c;
  transfer(io, c);
  if (io.problem.empty() && io.left() != 0) io.fail("there are bytes after the end");
  if (!io.problem.empty()) {
    const std::size_t colon = io.problem.find(": ");
    return Error{ErrorKind::bad_input, io.problem.substr(0, colon), io.problem.substr(colon + 2)};
  }
  return c;
}

}  // namespace boundlight::check
