// Engine: values, gradients and certified bounds of one network on one back end. Everything above bounds/ talks to this
// interface only.
//
// Numbers cross this interface as double on the host; arrays are [batch][size] in row order. An engine owns device copies
// of the weights; it may be used by one thread at a time (make one per worker; they share the Network).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "boundlight/bounds/engines/family.hpp"
#include "boundlight/bounds/engines/regions.hpp"
#include "boundlight/bounds/network.hpp"
#include "boundlight/bounds/options.hpp"
#include "boundlight/core/stop.hpp"

namespace boundlight {

enum class Precision : std::uint8_t {
  single,     // rows in float
  dual,       // rows in double
  automatic,  // intermediate bounds in float, the rows asked for in double
};

enum class Method : std::uint8_t { interval, forward, crown, combined, alpha };

struct BoundOptions {
  Method method = Method::crown;
  Precision precision = Precision::automatic;
  Semantics semantics = Semantics::real;
  SlopeRule slopes = SlopeRule::adaptive;
  int alpha_steps = 20;          // method alpha: steps of the slope search (slope_search.hpp)
  double alpha_rate = 0.25;      // their size, relative to the range of a slope
  bool sound = true;             // false: measure the price of soundness; results are no bounds
  std::uint32_t without_charges = 0;  // bits of Charge left out (planted errors of tests); results are no bounds
  bool planes = false;           // also return input planes of every form
  std::uint64_t memory = 0;      // bytes for rows in flight; 0: half of the machine's
  bool intermediate_by_interval = false;  // crown rows only for the forms asked for
  // Boxes of undecided elements come from their rows alone and are not met with interval steps, as in CROWN as published: looser
  // boxes and most often looser bounds, for comparison with other programs. Ignored where boxes are known.
  bool rows_alone = false;
  StopToken stop;
  ProgressSink progress;
};

struct BoundResult {
  std::int64_t batch = 0, rows = 0;
  std::vector<double> lower, upper;     // [batch][rows]; not asked for: empty. Infinite where the bound was lost.
  std::vector<double> charge;           // [batch][rows]: rounding charges inside lower (and as much inside upper)
  // Planes (asked for): lower_plane[b][r] . x + lower_offset <= form <= upper_plane . x + upper_offset for x in region b.
  std::vector<double> lower_plane, lower_offset, upper_plane, upper_offset;
  bool complete = true;                 // false: stopped early; still sound
  std::vector<std::string> notes;       // where rows were concretised, and why
  Counters counters;
};

// Boxes of every variable value for a batch of regions: what intermediate bounds are, kept for reuse (branch and bound,
// box families). Host copy; [batch][size] per value, empty for values that were not bounded.
struct ValueBoxes {
  std::int64_t batch = 0;
  std::vector<std::vector<double>> lower, upper;  // by ValueId
};

struct SplitSearch;

class Engine {
 public:
  virtual ~Engine() = default;
  [[nodiscard]] virtual const Network& network() const = 0;
  [[nodiscard]] virtual std::string device() const = 0;

  // Concrete values of `wanted` for `batch` samples; inputs [batch][input size] (all inputs concatenated). In float
  // (as a float32 runtime) or double.
  virtual Result<std::vector<std::vector<double>>> evaluate(const std::vector<double>& inputs, std::int64_t batch,
                                                            const std::vector<ValueId>& wanted, Precision precision) = 0;

  // Gradient of sum_j weight[b][j] value[b][j] in the inputs ([batch][input size]), or in the value `wrt` (a constant's is summed over the
  // batch). The weights may depend on the values: weight_of gets both arrays, [batch][size], weights zeroed. The values come back too.
  struct Gradient { std::vector<double> values, inputs; };
  using WeightOf = std::function<void(const std::vector<double>& values, std::vector<double>& weight)>;
  virtual Result<Gradient> gradient(const std::vector<double>& inputs, std::int64_t batch, ValueId value, const WeightOf& weight_of,
                                    Precision precision, ValueId wrt = kAbsent) = 0;
  Result<Gradient> gradient(const std::vector<double>& inputs, std::int64_t batch, ValueId value, const std::vector<double>& weight,
                            Precision precision, ValueId wrt = kAbsent) {
    demand(static_cast<std::int64_t>(weight.size()) == batch * network().values[static_cast<std::size_t>(value)].size,
           "gradient: weight needs batch x value size numbers");
    return gradient(inputs, batch, value, [&](const std::vector<double>&, std::vector<double>& to) { to = weight; }, precision, wrt);
  }

  // Certified bounds of forms over regions. `known` (optional): boxes to start from and to intersect with; they must hold on
  // the regions (or on the parts of them one is interested in).
  virtual Result<BoundResult> bound(const Regions& regions, const Forms& forms, const BoundOptions& options, const ValueBoxes* known = nullptr) = 0;

  // Bounds of the forms on a base region and on every member of its family (family.hpp). forms.per_region is not allowed.
  virtual Result<FamilyResult> family(const BoxFamily& family, const Forms& forms, Tier tier, const BoundOptions& options) = 0;

  // Bounds on parts of regions that are cut by signs of neurons, slopes and multipliers searched (split_search.hpp).
  virtual Result<void> search(SplitSearch& search) = 0;

  // Boxes of every value by the same method.
  virtual Result<ValueBoxes> boxes(const Regions& regions, const BoundOptions& options, const ValueBoxes* known = nullptr) = 0;
};

// device: "cpu", "cuda" or "emulated". Errors: the back end is not there (a sentence), an operator without a kernel.
Result<std::unique_ptr<Engine>> make_engine(std::shared_ptr<const Network> network, const std::string& device = "cpu");

// Every device that make_engine knows, and why it cannot be used here (empty: it can). Opens the modules.
struct DeviceStatus {
  std::string name, reason;
};
std::vector<DeviceStatus> available_devices();

}  // namespace boundlight
