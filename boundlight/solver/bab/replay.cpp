#include "boundlight/solver/bab/replay.hpp"

#include <cmath>

#include "boundlight/core/files.hpp"
#include "boundlight/core/rounding.hpp"

namespace boundlight::bab {
namespace {


check::Constraint from_property(const LinearConstraint& c) {
  check::Constraint to;
  for (const LinearTerm& t : c.inputs) to.inputs.emplace_back(static_cast<std::uint32_t>(t.index), t.coefficient);
  for (const LinearTerm& t : c.outputs) to.outputs.emplace_back(static_cast<std::uint32_t>(t.index), t.coefficient);
  to.bounds = {c.bound};
  to.strict = c.strict;
  return to;
}

check::InlineConstraint inline_row(const ConstraintRow& row) {
  check::InlineConstraint c;
  const auto take = [](const std::vector<double>& from, std::vector<std::uint32_t>& index, std::vector<double>& coefficient) {
    for (std::size_t i = 0; i < from.size(); ++i)
      if (from[i] != 0) index.push_back(static_cast<std::uint32_t>(i)), coefficient.push_back(from[i]);
  };
  take(row.a, c.inputs, c.input_coefficients);
  take(row.b, c.outputs, c.output_coefficients);
  c.bound = row.bound;
  c.strict = row.strict;
  return c;
}

check::Constraint from_inline(const check::InlineConstraint& c) {
  check::Constraint to;
  for (std::size_t i = 0; i < c.inputs.size(); ++i) to.inputs.emplace_back(c.inputs[i], exact(c.input_coefficients[i]));
  for (std::size_t i = 0; i < c.outputs.size(); ++i) to.outputs.emplace_back(c.outputs[i], exact(c.output_coefficients[i]));
  to.bounds = {exact(c.bound)};
  to.strict = c.strict;
  return to;
}

}  // namespace

Result<void> Replayer::state(const Property& property, const Problem& problem, bool inlined) {
  place_.resize(property.disjuncts.size());
  if (!inlined) {
    certificate_.statements.emplace_back();
    for (std::size_t d = 0; d < property.disjuncts.size(); ++d) {
      place_[d].disjunct = d;
      for (const LinearConstraint& c : property.disjuncts[d].constraints) place_[d].constraints.push_back(from_property(c));
    }
    return {};
  }
  // One statement per box; the outward box holds the exact one.
  for (const Group& g : problem.groups) {
    check::Statement s;
    s.kind = check::Statement::Kind::inlined;
    s.title = property.source;
    s.lower = g.lower;
    s.upper = g.upper;
    for (const Target& t : g.targets) {
      Place& place = place_[t.disjunct];
      place.statement = certificate_.statements.size();
      place.disjunct = s.disjuncts.size();
      check::InlineDisjunct& d = s.disjuncts.emplace_back();
      for (const ConstraintRow& row : t.rows) {
        d.constraints.push_back(inline_row(row));
        place.constraints.push_back(from_inline(d.constraints.back()));
      }
    }
    certificate_.statements.push_back(std::move(s));
  }
  if (certificate_.statements.empty()) return Error{ErrorKind::unsupported, property.source, "every region is empty; there is nothing to state"};
  return {};
}

Result<std::unique_ptr<Replayer>> Replayer::make(const Network& network, const Property& property, const Problem& problem, const VerifyOptions& options) {
  auto made = std::unique_ptr<Replayer>(new Replayer());
  std::string from_file;
  const std::string* bytes = options.model_bytes.get();
  if (!bytes) {
    BL_TRY(read, read_file(network.source));
    from_file = std::move(read);
    bytes = &from_file;
  }
  made->certificate_.engine = "boundlight " BOUNDLIGHT_VERSION;
  made->certificate_.model_sha256 = sha256_hex(*bytes);
  if (!network.sha256.empty() && network.sha256 != made->certificate_.model_sha256)
    return Error{ErrorKind::bad_input, network.source, "the file has changed since it was loaded"};
  if (!options.inlined) made->certificate_.spec_sha256 = property.sha256;
  if (!options.inlined && property.sha256.empty())
    return Error{ErrorKind::unsupported, property.source, "the property came from no file, so its certificate must carry it (inlined)"};
  made->certificate_.semantics = options.semantics == Semantics::real ? check::Semantics::real : check::Semantics::float32_any_order;
  try {
    made->model_ = check::read_model(*bytes);
    made->propagation_ = std::make_unique<check::Propagation>(made->model_, made->certificate_);
  } catch (const check::Refusal& r) {
    return Error{ErrorKind::unsupported, network.source, "the checker does not read this model: " + (r.place.empty() ? "" : r.place + ": ") + r.what()};
  }
  BL_CHECK(made->state(property, problem, options.inlined));
  return made;
}

std::shared_ptr<const check::Boxes> Replayer::boxes(const check::Box& input, const check::Boxes* parent, const std::vector<check::Split>& splits,
                                                    const check::Bounds* section) const {
  try {
    return propagation_->boxes(input, parent, splits, section);
  } catch (const check::Refusal&) {
    return nullptr;
  }
}

std::vector<check::LinearForm> Replayer::forms(const check::Boxes& boxes, const std::vector<Leaf>& leaves) const {
  std::vector<check::Row> rows;
  const check::Choices none(model_.ops.size());
  for (const Leaf& leaf : leaves) {
    check::Row& row = rows.emplace_back();
    row.choices = leaf.choices ? leaf.choices : &none;
    row.splits = leaf.path;
    row.beta = leaf.path ? &leaf.beta : nullptr;
    const auto& constraints = place_[leaf.target->disjunct].constraints;
    for (std::size_t i = 0; i < leaf.lambda.size(); ++i) {
      const double lambda = leaf.lambda[i];
      if (lambda == 0) continue;
      for (const bool outputs : {false, true})
        for (const auto& [index, coefficient] : outputs ? constraints[i].outputs : constraints[i].inputs) {
          const double down = round_down(coefficient), up = round_up(coefficient), value = lambda * down;
          const bool sharp = down == up && std::fma(lambda, down, -value) == 0 && std::fabs(value) > 1e-200;
          const double gap = (lambda * (up - down) + std::fabs(value) * 0x1p-51) * (1 + 0x1p-40) + smallest_normal<double>;
          row.terms.push_back({outputs ? model_.output : model_.input, index, value, sharp ? 0 : gap});
        }
    }
  }
  return propagation_->backward(boxes, rows);
}

int Replayer::tensor(std::uint32_t name) const {
  try {
    return propagation_->tensor(name);
  } catch (const check::Refusal&) {
    return -1;
  }
}

bool Replayer::excludes(const Leaf& leaf, const check::LinearForm& form, const check::Box& box) const {
  const auto& constraints = place_[leaf.target->disjunct].constraints;
  bool strict = false;
  double threshold = 0;
  for (std::size_t i = 0; i < leaf.lambda.size(); ++i) {
    if (!(leaf.lambda[i] > 0)) continue;
    strict = strict || constraints[i].strict;
    threshold = add_up(threshold, mul_up(leaf.lambda[i], round_up(constraints[i].bounds[0])));
  }
  const double have = check::lowest(form, box);
  return have > threshold || (strict && have >= threshold);
}

}  // namespace boundlight::bab
