#include "boundlight/solver/bab/condensed.hpp"

#include <algorithm>
#include <cmath>

#include "boundlight/bounds/engines/split_search.hpp"

namespace boundlight::bab {
namespace {

constexpr std::size_t kMostNeurons = 8192;
constexpr std::size_t kMostEntries = std::size_t{1} << 26;
constexpr std::size_t kRowsAtOnce = 256;  // rows of a pass

class Condenser {
 public:
  Condenser(Engine& engine, const Group& group, const std::vector<Activation>& activations, const std::vector<FreeNeuron>& free, const ValueBoxes& root)
      : engine_(engine), group_(group), acts_(activations), free_(free), root_(root) {
    made_.inputs = group.varying;
    for (const std::int64_t i : group.varying) {
      made_.input_lower.push_back(static_cast<float>(group.lower[static_cast<std::size_t>(i)]));
      made_.input_upper.push_back(static_cast<float>(group.upper[static_cast<std::size_t>(i)]));
    }
    // Boxes that make undecided neurons dead: what is left of a row is what reaches it past them.
    dead_.batch = 1;
    dead_.lower.resize(root.lower.size());
    dead_.upper.resize(root.upper.size());
    for (const Activation& act : acts_) {
      const auto v = static_cast<std::size_t>(act.in);
      if (!dead_.lower[v].empty()) continue;  // two activations of one value
      for (const double l : root.lower[v]) {
        dead_.lower[v].push_back(l >= 0 ? 0 : -1);
        dead_.upper[v].push_back(l >= 0 ? 1 : 0);
      }
    }
  }

  Result<std::optional<Condensed>> run(const ReluTargets& targets, const StopToken& stop) {
    const std::size_t n = free_.size();
    for (std::size_t from = 0; from < n;) {
      std::size_t to = from;
      while (to < n && free_[to].act == free_[from].act) ++to;
      made_.layer.push_back(static_cast<std::int32_t>(from));
      const Activation& act = acts_[static_cast<std::size_t>(free_[from].act)];
      for (; from < to; from = std::min(to, from + kRowsAtOnce)) {
        BL_TRY(fits, add_neurons(act, from, std::min(to, from + kRowsAtOnce)));
        if (!fits || stop.stop_requested()) return std::optional<Condensed>();
      }
    }
    made_.layer.push_back(static_cast<std::int32_t>(n));
    made_.forms.resize(group_.targets.size());
    for (std::size_t t = 0; t < group_.targets.size(); ++t) {
      if (targets.coefficient(t).empty()) continue;
      std::vector<double> constant;
      std::vector<std::vector<float>> lines;
      BL_TRY(fits, rows_of(engine_.network().outputs[0], targets.coefficient(t), 1, n, constant, lines));
      if (!fits || stop.stop_requested()) return std::optional<Condensed>();
      made_.forms[t] = {static_cast<float>(constant[0]), std::move(lines[0])};
    }
    transpose();
    return std::optional<Condensed>(std::move(made_));
  }

 private:
  Result<bool> add_neurons(const Activation& act, std::size_t from, std::size_t to) {
    const auto size = static_cast<std::size_t>(act.size);
    std::vector<double> unit((to - from) * size, 0.0);
    for (std::size_t j = from; j < to; ++j) unit[(j - from) * size + static_cast<std::size_t>(free_[j].element)] = 1;
    std::vector<double> constant;
    std::vector<std::vector<float>> lines;
    BL_TRY(fits, rows_of(act.in, unit, to - from, from, constant, lines));
    if (!fits) return false;
    for (std::size_t j = from; j < to; ++j) {
      const auto v = static_cast<std::size_t>(act.in), e = static_cast<std::size_t>(free_[j].element);
      made_.lower.push_back(static_cast<float>(root_.lower[v][e]));
      made_.upper.push_back(static_cast<float>(root_.upper[v][e]));
      made_.constant.push_back(static_cast<float>(constant[j - from]));
      const auto& line = lines[j - from];
      for (std::size_t k = 0; k < line.size(); ++k) {
        if (line[k] == 0) continue;
        made_.rows.index.push_back(static_cast<std::int32_t>(k));
        made_.rows.value.push_back(line[k]);
      }
      made_.rows.start.push_back(static_cast<std::int32_t>(made_.rows.index.size()));
      if (made_.rows.index.size() > kMostEntries) return false;
    }
    return true;
  }

  // Rows of a value over the columns: inputs that vary, and the undecided neurons before `neurons`.
  Result<bool> rows_of(ValueId value, const std::vector<double>& coefficient, std::size_t rows, std::size_t neurons, std::vector<double>& constant,
                       std::vector<std::vector<float>>& lines) {
    Regions r;
    r.batch = 1;
    r.lower = group_.lower;
    r.upper = group_.upper;
    Forms f;
    f.value = value;
    f.rows = static_cast<std::int64_t>(rows);
    f.want_upper = false;
    f.coefficient = coefficient;
    SplitSearch s;
    s.regions = &r;
    s.forms = &f;
    s.known = &dead_;
    s.boxes_as_given = true;
    s.options.sound = false;
    s.options.alpha_steps = 0;
    s.options.precision = Precision::single;
    s.want_trace = s.want_planes = true;
    BL_CHECK(engine_.search(s));
    for (const auto& [out, trace] : s.trace)
      if (std::none_of(acts_.begin(), acts_.end(), [&, out = out](const Activation& a) { return a.out == out; })) return false;
    const std::size_t n = group_.lower.size();
    if (s.offset.size() != rows || s.planes.size() != rows * n) return false;
    for (std::size_t row = 0; row < rows; ++row) {
      if (!std::isfinite(s.offset[row])) return false;
      constant.push_back(s.offset[row]);
      auto& line = lines.emplace_back();
      for (std::size_t i = 0, next = 0; i < n; ++i) {
        const double a = s.planes[row * n + i];
        if (next < group_.varying.size() && group_.varying[next] == static_cast<std::int64_t>(i)) line.push_back(static_cast<float>(a)), ++next;
        else constant.back() += a * group_.lower[i];
      }
      for (std::size_t k = 0; k < neurons; ++k) {
        const Activation& act = acts_[static_cast<std::size_t>(free_[k].act)];
        const auto found = s.trace.find(act.out);
        line.push_back(found == s.trace.end() ? 0.0F : found->second.coefficient[row * static_cast<std::size_t>(act.size) + static_cast<std::size_t>(free_[k].element)]);
      }
    }
    return true;
  }

  void transpose() {
    const std::size_t columns = made_.inputs.size() + made_.neurons();
    std::vector<std::vector<std::pair<std::int32_t, float>>> lines(columns);
    for (std::size_t j = 0; j < made_.neurons(); ++j)
      for (std::int32_t e = made_.rows.start[j]; e < made_.rows.start[j + 1]; ++e)
        lines[static_cast<std::size_t>(made_.rows.index[static_cast<std::size_t>(e)])].emplace_back(static_cast<std::int32_t>(j), made_.rows.value[static_cast<std::size_t>(e)]);
    for (const auto& line : lines) {
      for (const auto& [j, value] : line) {
        made_.columns.index.push_back(j);
        made_.columns.value.push_back(value);
      }
      made_.columns.start.push_back(static_cast<std::int32_t>(made_.columns.index.size()));
    }
  }

  Engine& engine_;
  const Group& group_;
  const std::vector<Activation>& acts_;
  const std::vector<FreeNeuron>& free_;
  const ValueBoxes& root_;
  ValueBoxes dead_;
  Condensed made_;
};

}  // namespace

Result<std::optional<Condensed>> condense(Engine& engine, const Group& group, const std::vector<Activation>& activations, const std::vector<FreeNeuron>& free,
                                          const ValueBoxes& root, const ReluTargets& targets, const StopToken& stop) {
  const Network& network = engine.network();
  const auto is_relu = [&](const Activation& a) { return network.nodes[static_cast<std::size_t>(network.values[static_cast<std::size_t>(a.out)].producer)].node.op == "Relu"; };
  if (free.size() > kMostNeurons || !std::all_of(activations.begin(), activations.end(), is_relu)) return std::optional<Condensed>();
  return Condenser(engine, group, activations, free, root).run(targets, stop);
}

}  // namespace boundlight::bab
