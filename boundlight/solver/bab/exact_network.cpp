#include "boundlight/solver/bab/exact_network.hpp"

#include <algorithm>
#include <cmath>

#include "boundlight/core/files.hpp"

namespace boundlight::bab {
namespace {

// x = mantissa 2^power with an odd mantissa (0: power 0).
std::pair<std::int64_t, int> parts_of(double x) {
  if (x == 0) return {0, 0};
  int power = 0;
  auto mantissa = static_cast<std::int64_t>(std::ldexp(std::frexp(x, &power), 53));
  power -= 53;
  while (mantissa % 2 == 0) mantissa /= 2, ++power;
  return {mantissa, power};
}

// a y + (1 - a) relu(y), as the checker writes a LeakyReLU; exact where 1 - a is.
bool is_exact_leaky(const check::Model& model, const check::Op& op) {
  if (op.parts.size() != 2) return false;
  const check::Part &straight = op.parts[0], &bent = op.parts[1];
  const bool of_relu = std::any_of(model.ops.begin(), model.ops.end(), [&](const check::Op& o) { return o.form == check::Form::relu && o.output == bent.input && o.input == straight.input; });
  const Sparse &a = straight.by_output, &b = bent.by_output;
  if (!of_relu || a.value.size() != b.value.size()) return false;
  for (std::size_t i = 0; i < a.value.size(); ++i)
    if (exact(a.value[i]) + exact(b.value[i]) != 1) return false;
  return true;
}

bool is_exact(const check::Model& model, const check::Op& op) {
  if (op.form == check::Form::relu || op.form == check::Form::max_pool) return true;
  if (op.form != check::Form::affine || !op.has_rule || (op.relative != 0 && !is_exact_leaky(model, op))) return false;
  return std::all_of(op.bias_error.begin(), op.bias_error.end(), [](double e) { return e == 0; });
}

}  // namespace

std::unique_ptr<ExactNetwork> ExactNetwork::read(const Network& network, const std::string* model_bytes) {
  std::string from_file;
  if (!model_bytes) {
    auto bytes = read_file(network.source);
    if (!bytes.ok()) return nullptr;
    from_file = std::move(bytes.value());
    model_bytes = &from_file;
  }
  if (network.sha256.empty() || sha256_hex(*model_bytes) != network.sha256 || network.outputs.size() != 1) return nullptr;
  auto made = std::unique_ptr<ExactNetwork>(new ExactNetwork());
  try {
    made->model_ = check::read_model(*model_bytes);
  } catch (const check::Refusal&) {
    return nullptr;
  }
  const check::Model& m = made->model_;
  if (static_cast<std::int64_t>(m.tensors[static_cast<std::size_t>(m.input)].size) != network.input_size()) return nullptr;
  if (static_cast<std::int64_t>(m.tensors[static_cast<std::size_t>(m.output)].size) != network.values[static_cast<std::size_t>(network.outputs[0])].size) return nullptr;
  for (const check::Op& op : m.ops) {
    if (!is_exact(m, op)) return nullptr;
    for (const check::Part& p : op.parts) made->cost_ += p.by_output.value.size();
    made->cost_ += m.tensors[static_cast<std::size_t>(op.output)].size;
  }
  return made;
}

FormBlock ExactNetwork::affine(const check::Op& op, const std::vector<std::shared_ptr<const FormBlock>>& of, std::size_t width, const BigInt& common) const {
  // One power of two that clears all coefficients and brings the inputs to one denominator.
  int lowest = 0, above = 0;
  for (const check::Part& p : op.parts) {
    above = std::max(above, of[static_cast<std::size_t>(p.input)]->exponent);
    for (const double w : p.by_output.value) lowest = std::min(lowest, parts_of(w).second);
  }
  for (const double b : op.bias) lowest = std::min(lowest, parts_of(b).second + above);
  FormBlock made;
  made.exponent = above - lowest;
  const std::size_t size = model_.tensors[static_cast<std::size_t>(op.output)].size;
  made.number.assign(size * width, 0);
  for (const check::Part& p : op.parts) {
    const FormBlock& in = *of[static_cast<std::size_t>(p.input)];
    const Sparse& rows = p.by_output;
    for (std::size_t o = 0; o < size; ++o)
      for (std::uint32_t k = rows.start[o]; k < rows.start[o + 1]; ++k) {
        const auto [mantissa, power] = parts_of(rows.value[k]);
        if (mantissa == 0) continue;
        const BigInt weight = BigInt(mantissa) << static_cast<unsigned>(power - lowest + above - in.exponent);
        for (std::size_t j = 0; j < width; ++j) {
          const BigInt& x = in.number[rows.index[k] * width + j];
          if (!x.is_zero()) made.number[o * width + j] += weight * x;
        }
      }
  }
  for (std::size_t o = 0; o < op.bias.size(); ++o) {
    const auto [mantissa, power] = parts_of(op.bias[o]);
    if (mantissa != 0) made.number[o * width + width - 1] += (BigInt(mantissa) << static_cast<unsigned>(power + made.exponent)) * common;
  }
  return made;
}

std::vector<Rational> ExactNetwork::at(const std::vector<Rational>& x) const {
  BigInt common = 1;
  for (const Rational& q : x) common = lcm(common, BigInt(denominator(q)));
  std::vector<std::shared_ptr<const FormBlock>> of(model_.tensors.size());
  auto input = std::make_shared<FormBlock>();
  for (const Rational& q : x) input->number.push_back(numerator(q) * (common / denominator(q)));
  of[static_cast<std::size_t>(model_.input)] = std::move(input);
  for (const check::Op& op : model_.ops) {
    auto& to = of[static_cast<std::size_t>(op.output)];
    if (op.form == check::Form::affine) {
      to = std::make_shared<FormBlock>(affine(op, of, 1, common));
      continue;
    }
    const FormBlock& in = *of[static_cast<std::size_t>(op.input)];
    auto made = std::make_shared<FormBlock>();
    made->exponent = in.exponent;
    for (std::size_t o = 0; o < model_.tensors[static_cast<std::size_t>(op.output)].size; ++o) {
      if (op.form == check::Form::relu) {
        made->number.push_back(in.number[o] > 0 ? in.number[o] : BigInt(0));
        continue;
      }
      const Sparse& windows = op.parts[0].by_output;
      const auto larger = [&](std::uint32_t a, std::uint32_t b) { return in.number[a] < in.number[b]; };
      made->number.push_back(in.number[*std::max_element(windows.index.begin() + windows.start[o], windows.index.begin() + windows.start[o + 1], larger)]);
    }
    to = std::move(made);
  }
  const FormBlock& out = *of[static_cast<std::size_t>(model_.output)];
  const BigInt whole = common << static_cast<unsigned>(out.exponent);
  std::vector<Rational> y;
  for (const BigInt& n : out.number) y.emplace_back(n, whole);
  return y;
}

}  // namespace boundlight::bab
