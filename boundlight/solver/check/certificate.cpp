#include "boundlight/solver/check/certificate.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>
#include <limits>
#include <type_traits>

#include "boundlight/core/contract.hpp"

namespace boundlight::check {
namespace {

constexpr std::string_view kMagic("BLCERT\x01\n", 8);

struct Writer {
  static constexpr bool reading = false;
  std::string out;
  void number(std::uint64_t v) {  // LEB128
    for (; v >= 128; v >>= 7) out += static_cast<char>(v | 128);
    out += static_cast<char>(v);
  }
  void fixed(std::uint64_t v, int bytes) {  // little endian
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(v >> (8 * i));
  }
};

struct Reader {
  static constexpr bool reading = true;
  std::string_view in;
  std::size_t at = 0;
  std::string place, problem;  // of the first trouble; afterwards everything reads as zero
  [[nodiscard]] std::size_t left() const { return in.size() - at; }
  void fail(const char* what) {
    if (problem.empty()) place = "byte " + std::to_string(at), problem = what;
    at = in.size();
  }
  std::uint64_t fixed(int bytes) {
    std::uint64_t v = 0;
    for (int i = 0; i < bytes; ++i) {
      if (at == in.size()) return fail("the certificate ends too early"), 0;
      v |= std::uint64_t{static_cast<unsigned char>(in[at++])} << (8 * i);
    }
    return v;
  }
  std::uint64_t number() {
    std::uint64_t v = 0;
    for (int shift = 0; shift < 63; shift += 7) {
      const std::uint64_t b = fixed(1);
      v |= (b & 127) << shift;
      if (b < 128) return v;
    }
    return fail("a number has more than nine bytes"), 0;
  }
};

template <class E> constexpr int kLast = 1;  // the greatest value of an enumeration
template <> constexpr int kLast<BackwardStep::Rows> = 2;
template <> constexpr int kLast<Bounds::Mode> = 2;
template <> constexpr int kLast<Node::Kind> = 3;

int children_of(const Node& n) { return n.kind == Node::Kind::leaf ? 0 : n.kind == Node::Kind::clip ? 1 : 2; }

// One description of every structure serves both directions; a writer changes nothing.
template <class Io>
struct Transfer {
  Io& io;

  template <class... V> void all(V&... v) { (one(v), ...); }
  void fail(const char* what) { if constexpr (Io::reading) io.fail(what); }

  template <std::unsigned_integral U> requires (!std::same_as<U, bool>) void one(U& v) {
    if constexpr (Io::reading) {
      const std::uint64_t x = io.number();
      if (x > std::numeric_limits<U>::max()) io.fail("a number is too large for its field");
      v = static_cast<U>(x);
    } else {
      io.number(v);
    }
  }
  template <class E> requires std::is_enum_v<E> || std::same_as<E, bool> void one(E& e) {
    auto code = static_cast<std::uint8_t>(e);
    one(code);
    if (code > kLast<E>) fail("an unknown kind or flag");
    e = static_cast<E>(code > kLast<E> ? 0 : code);
  }
  void one(double& x) {
    if constexpr (Io::reading) x = std::bit_cast<double>(io.fixed(8));
    else io.fixed(std::bit_cast<std::uint64_t>(x), 8);
  }
  void one(float& x) {
    if constexpr (Io::reading) x = std::bit_cast<float>(static_cast<std::uint32_t>(io.fixed(4)));
    else io.fixed(std::bit_cast<std::uint32_t>(x), 4);
  }
  // The length of a list; every element takes at least `bytes`, so no memory is asked for that the bytes cannot fill.
  template <class List> std::size_t length(List& list, std::size_t bytes = 1) {
    std::uint64_t n = list.size();
    one(n);
    if constexpr (Io::reading) {
      if (n > io.left() / bytes) io.fail("a list is longer than the certificate"), n = 0;
      list.clear();
    }
    return n;
  }
  void one(std::string& s) {
    const std::size_t n = length(s);
    if constexpr (Io::reading) s = io.in.substr(io.at, n), io.at += n;
    else io.out += s;
  }
  template <class T> void one(std::vector<T>& v) {
    const std::size_t n = length(v);
    for (std::size_t i = 0; i < n; ++i) {
      if constexpr (Io::reading) {
        if (!io.problem.empty()) return;
        v.emplace_back();
      }
      one(v[i]);
    }
  }
  void rising(std::vector<std::uint32_t>& v) {  // as differences
    const std::size_t n = length(v);
    std::uint64_t last = 0;
    for (std::size_t i = 0; i < n; ++i) {
      std::uint64_t step = Io::reading ? 0 : v[i] - last;
      if constexpr (!Io::reading) demand(i == 0 || v[i] > last, "serialize: indices must rise");
      one(step);
      last += step;
      if ((i > 0 && step == 0) || last > UINT32_MAX) return fail("indices do not rise");
      if constexpr (Io::reading) v.push_back(static_cast<std::uint32_t>(last));
    }
  }

  void one(Slopes& s) {
    all(s.value, s.width);
    if (s.width != 1 && s.width != 2) return fail("a slope has neither one nor two bytes");
    rising(s.neurons);
    const std::size_t n = length(s.numbers, s.width);
    for (std::size_t i = 0; i < n; ++i) {
      if constexpr (Io::reading) s.numbers.push_back(static_cast<std::uint16_t>(io.fixed(s.width)));
      else io.fixed(s.numbers[i], s.width);
    }
  }
  void one(BackwardStep& s) {
    all(s.value, s.rows);
    rising(s.listed);
    all(s.lower, s.upper, s.each_lower, s.each_upper);
  }
  void one(Bounds& b) { all(b.mode, b.slopes, b.steps); }
  void one(Cut& c) { all(c.dimension, c.above, c.at); }
  void one(Range& r) { all(r.dimension, r.lower, r.upper); }
  void one(InlineConstraint& c) {
    rising(c.inputs);
    rising(c.outputs);
    all(c.input_coefficients, c.output_coefficients, c.bounds, c.strict);
  }
  void one(InlineDisjunct& d) { one(d.constraints); }
  void one(Statement& s) {
    all(s.kind, s.title);
    if (s.kind == Statement::Kind::inlined) all(s.base, s.lower, s.upper, s.changes, s.members, s.disjuncts);
  }
  void one(TrustedBox& t) { all(t.value, t.lower, t.upper); }
  void one(Node& n) {  // without its children: they follow in preorder
    using Kind = Node::Kind;
    all(n.kind, n.bounds, n.slopes);
    if (n.kind == Kind::relu_split) one(n.value);
    if (n.kind == Kind::relu_split || n.kind == Kind::input_split) one(n.neuron);
    if (n.kind == Kind::input_split) one(n.at);
    if (n.kind == Kind::leaf || n.kind == Kind::clip) all(n.lambda, n.beta);
    if (n.kind == Kind::clip) one(n.cuts);
  }
  void one(Tree& tree) {
    struct Open { std::int32_t node; std::size_t depth; bool high; };  // node: the parent when reading
    std::vector<Open> open = {{Io::reading ? -1 : 0, 1, false}};
    std::size_t done = 0;
    for (; !open.empty(); ++done) {
      const Open next = open.back();
      open.pop_back();
      std::int32_t i = next.node;
      if constexpr (Io::reading) {
        if (!io.problem.empty()) return;
        if (next.depth > kMaxDepth || tree.nodes.size() >= INT32_MAX) return fail("a tree is too deep or too large");
        i = static_cast<std::int32_t>(tree.nodes.size());
        tree.nodes.emplace_back();
        if (next.node >= 0) (next.high ? tree.nodes[next.node].high : tree.nodes[next.node].low) = i;
      } else {
        demand(i >= 0 && std::size_t(i) < tree.nodes.size() && done < tree.nodes.size() && next.depth <= kMaxDepth,
               "serialize: a tree has a missing child or a cycle, or is too deep");
      }
      one(tree.nodes[i]);
      const int children = children_of(tree.nodes[i]);
      if (children > 1) open.push_back({Io::reading ? i : tree.nodes[i].high, next.depth + 1, true});
      if (children > 0) open.push_back({Io::reading ? i : tree.nodes[i].low, next.depth + 1, false});
    }
    demand(done == tree.nodes.size(), "serialize: a node of a tree is not reached from its root");
  }
  void one(Proof& p) { all(p.statement, p.disjunct, p.tree); }
  void one(Certificate& c) {
    all(c.engine, c.model_sha256, c.spec_sha256, c.semantics, c.arithmetic, c.names, c.bounds, c.statements, c.proofs, c.trusted);
  }
};

}  // namespace

std::uint16_t quantised_slope(double t, int width) {
  return static_cast<std::uint16_t>(std::lround(std::clamp(t, 0.0, 1.0) * (width == 1 ? 255.0 : 65535.0)));
}

std::uint32_t Certificate::name_id(std::string_view name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return static_cast<std::uint32_t>(found - names.begin());
  names.emplace_back(name);
  return static_cast<std::uint32_t>(names.size() - 1);
}

std::string serialize(const Certificate& certificate) {
  Writer io{std::string(kMagic)};
  Transfer<Writer>{io}.one(const_cast<Certificate&>(certificate));
  return std::move(io.out);
}

Result<Certificate> parse_certificate(std::string_view bytes) {
  if (bytes.substr(0, kMagic.size()) != kMagic) return Error{ErrorKind::bad_input, "byte 0", "not a certificate of version 1"};
  Reader io{bytes, kMagic.size(), {}, {}};
  Certificate c;
  Transfer<Reader>{io}.one(c);
  if (io.problem.empty() && io.left() != 0) io.fail("there are bytes after the end");
  if (!io.problem.empty()) return Error{ErrorKind::bad_input, io.place, io.problem};
  return c;
}

}  // namespace boundlight::check
