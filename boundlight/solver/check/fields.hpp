// The fields of every structure of a certificate in the order of the bytes (docs/certificates.md), for what reads them
// (certificate.cpp) and for what writes them (solver/evidence).
#pragma once

#include "boundlight/core/bytes.hpp"
#include "boundlight/solver/check/certificate.hpp"

namespace boundlight {

template <> inline constexpr std::uint64_t kLastOf<check::Node::Kind> = 4;
template <> inline constexpr std::uint64_t kLastOf<check::Importance::Half> = 2;
template <> inline constexpr std::uint64_t kLastOf<check::Statement::Kind> = 2;

}  // namespace boundlight

namespace boundlight::check {

// Nodes in preorder, low before high.
void fields(ByteReader& io, Tree& tree);
void fields(ByteWriter& io, Tree& tree);

inline int children_of(const Node& n) { return n.kind == Node::Kind::leaf ? 0 : n.kind == Node::Kind::clip ? 1 : 2; }

template <class Io> void fields(Io& io, Slopes& s) {
  io.all(s.value, s.width);
  io.rising(s.neurons);
  io.packed(s.numbers, s.width);
}
template <class Io> void fields(Io& io, BackwardStep& s) {
  io.all(s.value);
  io.rising(s.listed);
  io.all(s.each_lower, s.each_upper);
}
template <class Io> void fields(Io& io, Bounds& b) { io.all(b.mode, b.slopes, b.steps); }
template <class Io> void fields(Io& io, Cut& c) { io.all(c.dimension, c.above, c.at); }
template <class Io> void fields(Io& io, InlineConstraint& c) {
  io.rising(c.inputs);
  io.rising(c.outputs);
  io.all(c.input_coefficients, c.output_coefficients, c.bound, c.strict);
}
template <class Io> void fields(Io& io, InlineDisjunct& d) { io.all(d.constraints); }
template <class Io> void fields(Io& io, Importance& m) {
  io.all(m.pixels, m.mean, m.deviation, m.eps, m.clip, m.half, m.x, m.cell, m.label);
  io.rising(m.rivals);
  io.all(m.verified, m.attained, m.points, m.lower, m.upper, m.tau, m.ordered, m.equal, m.undecided);
}
template <class Io> void fields(Io& io, Statement& s) {
  io.all(s.kind, s.title);
  if (s.kind == Statement::Kind::inlined) io.all(s.lower, s.upper, s.disjuncts);
  if (s.kind == Statement::Kind::importance) io.all(s.importance);
}
template <class Io> void fields(Io& io, TrustedBox& t) { io.all(t.value, t.lower, t.upper); }
template <class Io> void fields(Io& io, Node& n) {  // without its children
  using Kind = Node::Kind;
  io.all(n.kind, n.bounds, n.slopes);
  if (n.kind == Kind::relu_split) io.all(n.value, n.neuron);
  if (n.kind == Kind::input_split) io.all(n.neuron, n.at);
  if (n.kind == Kind::leaf || n.kind == Kind::clip) io.all(n.lambda, n.beta);
  if (n.kind == Kind::clip) io.all(n.cuts);
  if (n.kind == Kind::family) io.rising(n.members);
}
template <class Io> void fields(Io& io, Proof& p) { io.all(p.statement, p.disjunct, p.member, p.tree); }
template <class Io> void fields(Io& io, Certificate& c) {
  io.all(c.engine, c.model_sha256, c.spec_sha256, c.semantics, c.names, c.bounds, c.statements, c.proofs, c.trusted);
}

}  // namespace boundlight::check
