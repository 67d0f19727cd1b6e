// boundlight run MODEL --input X: the network's values.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "boundlight/apps/cli/inputs.hpp"
#include "boundlight/bounds/engines/engine.hpp"
#include "boundlight/bounds/engines/typed_evaluate.hpp"

namespace boundlight::cli {
namespace {

struct RunArguments {
  InputArguments input;
  std::vector<std::string> nodes;
  std::string json, device = "cpu", precision = "auto";
  int top = 5;
};

// Classes by descending value, for a person.
void print_top(const std::string& name, const double* v, std::int64_t n, int top, const std::vector<std::string>& labels) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  const auto shown = std::min<std::int64_t>(top, n);
  std::partial_sort(order.begin(), order.begin() + shown, order.end(), [&](auto a, auto b) { return v[a] > v[b]; });
  std::printf("%s\n", name.c_str());
  for (std::int64_t i = 0; i < shown; ++i)
    std::printf("  %-24s %.9g\n", class_name(labels, order[static_cast<std::size_t>(i)]).c_str(), v[order[static_cast<std::size_t>(i)]]);
}

// A float64 value that varies: a float32 runtime would compute it in float64, too.
bool has_doubles(const Network& network) {
  return std::any_of(network.values.begin(), network.values.end(), [](const NetworkValue& v) { return !v.constant && v.type == DataType::float64; });
}

// By the engine, or in the graph's own element types where it needs them (integers, 16-bit floats).
Result<std::vector<std::vector<double>>> values_of(const std::shared_ptr<const Network>& network, const LoadedInputs& inputs, const std::vector<ValueId>& wanted, const RunArguments& o) {
  if (!needs_typed_values(*network)) {
    BL_TRY(engine, make_engine(network, o.device));
    const bool dual = o.precision == "double" || (o.precision == "auto" && has_doubles(*network));
    return engine->evaluate(inputs.values, inputs.batch, wanted, dual ? Precision::dual : Precision::single);
  }
  std::vector<std::vector<double>> values(wanted.size());
  for (std::int64_t b = 0; b < inputs.batch; ++b) {
    std::vector<Tensor> tensors;
    for (std::size_t k = 0; k < network->inputs.size(); ++k) {
      const auto& value = network->values[static_cast<std::size_t>(network->inputs[k])];
      const auto from = inputs.values.begin() + b * network->input_size() + network->input_offset(k);
      tensors.push_back(Tensor::from_doubles(value.type, value.shape, std::vector<double>(from, from + value.size)));
    }
    BL_TRY(found, evaluate_typed(*network, tensors, wanted));
    for (std::size_t k = 0; k < wanted.size(); ++k) {
      const auto numbers = found[k].to_doubles();
      values[k].insert(values[k].end(), numbers.begin(), numbers.end());
    }
  }
  return values;
}

Result<int> run_run(const RunArguments& o) {
  const Output output(o.json);
  BL_TRY(network, load_network(o.input.model, output));
  BL_TRY(inputs, load_all_inputs(*network, o.input, output));
  std::vector<ValueId> wanted;
  for (const auto& name : o.nodes) {
    BL_TRY(id, find_value(*network, name, false));
    wanted.push_back(id);
  }
  if (wanted.empty()) wanted = network->outputs;
  BL_TRY(values, values_of(network, inputs, wanted, o));
  Json list = Json::array();
  for (std::size_t k = 0; k < wanted.size(); ++k) {
    const auto& value = network->values[static_cast<std::size_t>(wanted[k])];
    Shape shape = value.shape;
    if (inputs.batch > 1) shape.insert(shape.begin(), inputs.batch);
    if (output.text())
      for (std::int64_t b = 0; b < inputs.batch; ++b)
        print_top(inputs.batch > 1 ? value.name + "[" + std::to_string(b) + "]" : value.name, values[k].data() + b * value.size, value.size, o.top,
                  value.size == static_cast<std::int64_t>(inputs.labels.size()) ? inputs.labels : std::vector<std::string>());
    list.push_back({{"name", value.name}, {"shape", shape}, {"values", values[k]}});
  }
  BL_CHECK(output.finish({{"model", network->source}, {"sha256", network->sha256}, {"outputs", list}}));
  return kDone;
}

}  // namespace

void add_run(CLI::App& app, Session& session) {
  auto* command = app.add_subcommand("run", "Compute a model's outputs, or any value inside it");
  auto o = std::make_shared<RunArguments>();
  add_input_options(*command, o->input, true);
  command->add_option("--node", o->nodes, "Value to print by name (several allowed); default: the outputs")->allow_extra_args(false);
  command->add_option("--top", o->top, "How many of the largest numbers to print")->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--precision", o->precision, "single (as a float32 runtime), double, or auto: double where the model itself computes in float64")->check(CLI::IsMember({"auto", "single", "double"}))->capture_default_str();
  command->add_option("--device", o->device, "cpu, cuda or emulated")->capture_default_str();
  add_json_option(*command, o->json);
  command->footer("Example: boundlight run examples/honest.onnx --input examples/images.npz:images[0]\n"
                  "Several samples, one intermediate value, as JSON:\n"
                  "  boundlight run net.onnx --input data.npz:images[0:8] --node relu_1 --json -");
  command->callback([&session, o] { session.run = [o] { return run_run(*o); }; });
}

}  // namespace boundlight::cli
