#include "plain_dense.hpp"

#include <cblas.h>

#include <algorithm>
#include <map>

#include "boundlight/bounds/ops/op.hpp"

namespace boundlight::bench {
namespace {

// The outputs of one node for one choice of its variable inputs.
std::optional<std::vector<double>> evaluate(const Network& network, const NetworkNode& node, const std::map<int, std::vector<double>>& variable) {
  std::vector<NetworkValue> values(node.node.inputs.size());
  std::vector<Tensor> tensors(values.size());
  NodeView view;
  view.node = &node.node;
  std::vector<const Tensor*> in;
  for (std::size_t k = 0; k < values.size(); ++k) {
    const int id = node.node.inputs[k];
    view.inputs.push_back(id == kAbsent ? nullptr : &values[k]);
    in.push_back(id == kAbsent ? nullptr : &tensors[k]);
    if (id == kAbsent) continue;
    values[k] = network.values[static_cast<std::size_t>(id)];
    tensors[k] = values[k].constant ? *values[k].constant : Tensor::from_doubles(values[k].type, values[k].shape, variable.at(id));
    values[k].constant = tensors[k];
  }
  for (const ValueId id : node.node.outputs) view.outputs.push_back(id == kAbsent ? nullptr : &network.values[static_cast<std::size_t>(id)]);
  auto out = node.op->evaluate(view, in);
  if (!out.ok()) return std::nullopt;
  return (*out)[0].to_doubles();
}

}  // namespace

std::optional<PlainDense> PlainDense::make(const Network& network) {
  PlainDense p;
  for (const auto& v : network.values) p.size_.push_back(static_cast<std::size_t>(v.size));
  p.input_ = network.inputs[0];
  p.output_ = network.logits;
  for (const NetworkNode& node : network.nodes) {
    Step step;
    step.relu = node.node.op == "Relu";
    step.out = node.node.outputs[0];
    for (const ValueId id : node.node.inputs)
      if (id != kAbsent && !network.values[static_cast<std::size_t>(id)].constant) step.in.push_back(id);
    const std::size_t rows = p.size_[static_cast<std::size_t>(step.out)];
    if (!step.relu) {
      // A product is linear in its one variable side.
      const bool product = (node.node.op == "MatMul" || node.node.op == "Gemm") && step.in.size() == 1;
      if (std::string_view(node.op->linear) != "exact" && !product) return std::nullopt;
      std::map<int, std::vector<double>> at;
      for (const int id : step.in) at[id].assign(p.size_[static_cast<std::size_t>(id)], 0.0);
      const auto zero = evaluate(network, node, at);
      if (!zero) return std::nullopt;
      step.bias.assign(zero->begin(), zero->end());
      for (const int id : step.in) {
        const std::size_t columns = p.size_[static_cast<std::size_t>(id)];
        std::vector<float> matrix(rows * columns);
        for (std::size_t j = 0; j < columns; ++j) {
          at[id][j] = 1;
          const auto y = evaluate(network, node, at);
          at[id][j] = 0;
          for (std::size_t i = 0; i < rows; ++i) matrix[i * columns + j] = static_cast<float>((*y)[i] - (*zero)[i]);
        }
        step.matrix.push_back(std::move(matrix));
      }
    }
    p.steps_.push_back(std::move(step));
  }
  return p;
}

double PlainDense::bytes() const {
  double sum = 0;
  for (const Step& s : steps_)
    for (const auto& m : s.matrix) sum += 4.0 * static_cast<double>(m.size());
  return sum;
}

PlainDense::Bounds PlainDense::rows_back(int value, const std::vector<Bounds>& boxes) const {
  const std::size_t n = size_[static_cast<std::size_t>(value)], rows = 2 * n;
  std::vector<float> bias(rows, 0.0F);
  std::map<int, std::vector<float>> pending;
  auto& start = pending[value];
  start.assign(rows * n, 0.0F);
  for (std::size_t i = 0; i < n; ++i) start[i * n + i] = 1, start[(n + i) * n + i] = -1;
  for (std::size_t s = steps_.size(); s-- > 0;) {
    const Step& step = steps_[s];
    const auto found = pending.find(step.out);
    if (found == pending.end()) continue;
    std::vector<float> a = std::move(found->second);
    pending.erase(found);
    const std::size_t width = size_[static_cast<std::size_t>(step.out)];
    if (step.relu) {
      const Bounds& box = boxes[static_cast<std::size_t>(step.in[0])];
      for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t j = 0; j < width; ++j) {
          float& x = a[r * width + j];
          const float l = box.lower[j], u = box.upper[j];
          if (u <= 0) x = 0;
          else if (l < 0 && x >= 0) x = u > -l ? x : 0;
          else if (l < 0) bias[r] -= x * l * u / (u - l), x *= u / (u - l);
        }
      pending[step.in[0]] = std::move(a);
      continue;
    }
    cblas_sgemv(CblasRowMajor, CblasNoTrans, static_cast<int>(rows), static_cast<int>(width), 1.0F, a.data(), static_cast<int>(width), step.bias.data(), 1, 1.0F, bias.data(), 1);
    for (std::size_t k = 0; k < step.in.size(); ++k) {
      const std::size_t columns = size_[static_cast<std::size_t>(step.in[k])];
      auto& to = pending[step.in[k]];
      const bool first = to.empty();
      if (first) to.resize(rows * columns);
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, static_cast<int>(rows), static_cast<int>(columns), static_cast<int>(width), 1.0F, a.data(), static_cast<int>(width),
                  step.matrix[k].data(), static_cast<int>(columns), first ? 0.0F : 1.0F, to.data(), static_cast<int>(columns));
    }
  }
  const auto& a = pending.at(input_);
  const Bounds& box = boxes[static_cast<std::size_t>(input_)];
  Bounds b{std::vector<float>(n), std::vector<float>(n)};
  const std::size_t inputs = size_[static_cast<std::size_t>(input_)];
  for (std::size_t r = 0; r < rows; ++r) {
    float sum = bias[r];
    for (std::size_t i = 0; i < inputs; ++i) sum += a[r * inputs + i] * (a[r * inputs + i] >= 0 ? box.lower[i] : box.upper[i]);
    (r < n ? b.lower[r] : b.upper[r - n]) = r < n ? sum : -sum;
  }
  return b;
}

PlainDense::Bounds PlainDense::bound(const std::vector<float>& lower, const std::vector<float>& upper) const {
  std::vector<Bounds> boxes(size_.size());
  boxes[static_cast<std::size_t>(input_)] = {lower, upper};
  for (const Step& step : steps_)
    if (step.relu) boxes[static_cast<std::size_t>(step.in[0])] = rows_back(step.in[0], boxes);
  return rows_back(output_, boxes);
}

}  // namespace boundlight::bench
