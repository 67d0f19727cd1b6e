// Replayer: asks the checker's own arithmetic whether a leaf is closed before the search counts on it, so that certificates are
// accepted by construction. The checker knows nothing of this; what it accepts rests on its own run.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "boundlight/solver/bab/problem.hpp"
#include "boundlight/solver/bab/verify.hpp"
#include "boundlight/solver/check/bounds.hpp"

namespace boundlight::bab {

class Replayer {
 public:
  // Reads the model again as the checker does; the statements of the certificate are made here. Errors: what makes a certificate
  // impossible.
  static Result<std::unique_ptr<Replayer>> make(const Network& network, const Property& property, const Problem& problem, const VerifyOptions& options);

  // Boxes of all tensors as the checker makes them; null when it refuses.
  std::shared_ptr<const check::Boxes> boxes(const check::Box& input, const check::Boxes* parent, const std::vector<check::Split>& splits, const check::Bounds* section) const;

  struct Leaf {
    const Target* target = nullptr;
    std::vector<double> lambda;                 // one per constraint
    const std::vector<check::Split>* path = nullptr;
    std::vector<float> beta;
    const check::Choices* choices = nullptr;    // null: default slopes
  };
  // The linear lower bound of sum lambda_i g_i plus multipliers.
  std::vector<check::LinearForm> forms(const check::Boxes& boxes, const std::vector<Leaf>& leaves) const;
  // Does the form exclude every counterexample of the target in the box?
  bool excludes(const Leaf& leaf, const check::LinearForm& form, const check::Box& box) const;

  // The certificate's number of a value's name, and the checker's tensor of it (-1: it knows none).
  std::uint32_t name(const std::string& value) { return certificate_.name_id(value); }
  int tensor(std::uint32_t name) const;

  const check::Model& model() const { return model_; }
  const check::Propagation& propagation() const { return *propagation_; }
  check::Certificate& certificate() { return certificate_; }
  const check::Certificate& certificate() const { return certificate_; }
  std::size_t statement_of(const Target& target) const { return place_.at(target.disjunct).statement; }
  std::size_t disjunct_of(const Target& target) const { return place_.at(target.disjunct).disjunct; }

 private:
  struct Place {
    std::size_t statement = 0, disjunct = 0;
    std::vector<check::Constraint> constraints;  // as the statement says them
  };
  Replayer() = default;
  Result<void> state(const Property& property, const Problem& problem, bool inlined);

  check::Certificate certificate_;
  check::Model model_;
  std::unique_ptr<check::Propagation> propagation_;
  std::vector<Place> place_;  // by disjunct of the property
};

}  // namespace boundlight::bab
