// boundlight bounds MODEL --input X --eps E: certified bounds of a value over a region.
#include <chrono>
#include <map>
#include <cmath>
#include <cstdio>

#include "boundlight/apps/cli/inputs.hpp"
#include "boundlight/apps/cli/properties.hpp"
#include "boundlight/bounds/engines/engine.hpp"
#include "boundlight/bounds/json_numbers.hpp"
#include "boundlight/core/files.hpp"
#include "boundlight/models/array.hpp"

namespace boundlight::cli {
namespace {

struct BoundsArguments {
  InputArguments input;
  RegionArguments region;
  std::vector<std::string> box;
  std::string node, method = "crown", semantics = "real", precision = "auto", device = "cpu", json, planes;
  bool unsound = false;
  double timeout = 0;
  int alpha_steps = 20;
  std::uint64_t memory = 0;
};

// The region named by --box, or the ball around every input sample.
Result<Regions> regions_of(const Network& network, const BoundsArguments& o, const Output& output) {
  Regions r;
  const auto n = static_cast<std::size_t>(network.input_size());
  if (!o.box.empty()) {
    BL_TRY(lower, load_array(o.box[0]));
    BL_TRY(upper, load_array(o.box[1]));
    r.lower = lower.to_doubles();
    r.upper = upper.to_doubles();
    if (r.lower.size() != r.upper.size() || r.lower.empty() || r.lower.size() % n != 0)
      return Error{ErrorKind::bad_input, "option --box", "the arrays have " + std::to_string(r.lower.size()) + " and " + std::to_string(r.upper.size()) +
                                                             " numbers, the model's input " + std::to_string(n)};
    r.batch = static_cast<std::int64_t>(r.lower.size() / n);
    for (std::size_t i = 0; i < r.lower.size(); ++i)
      if (!(r.lower[i] <= r.upper[i]))
        return Error{ErrorKind::bad_input, "option --box", "element " + std::to_string(i) + " has no lower <= upper (" + std::to_string(r.lower[i]) + ", " + std::to_string(r.upper[i]) + ")"};
    return r;
  }
  if (o.input.inputs.empty()) return Error{ErrorKind::bad_input, "option --input", "give an input with --input and --eps, or a box with --box LOWER UPPER"};
  if (o.region.eps.empty()) return Error{ErrorKind::bad_input, "option --eps", "give the radius of the region in pixel units, e.g. --eps 2/255"};
  BL_TRY(eps, parse_number("--eps", o.region.eps));
  BL_TRY(inputs, load_all_inputs(network, o.input, output));
  if (inputs.samples.empty()) return Error{ErrorKind::unsupported, "option --input", "a model with several inputs needs --box"};
  for (const auto& sample : inputs.samples) {
    // A typed decimal is rounded outward: the region encloses the one that was asked for.
    BL_TRY(ball, ball_of(sample, o.region, eps == 0 ? 0 : std::nextafter(eps, HUGE_VAL)));
    BL_TRY(region, pixel_region(ball));
    r.lower.insert(r.lower.end(), region.lower.begin(), region.lower.end());
    r.upper.insert(r.upper.end(), region.upper.begin(), region.upper.end());
    if (o.region.norm == "linf") continue;
    r.norm = o.region.norm == "l2" ? Regions::Norm::l2 : Regions::Norm::l1;
    for (std::size_t i = 0; i < n; ++i) {
      r.centre.push_back(region.x[i]);
      r.scale.push_back(std::nextafter(ball.eps / ball.deviation[i], HUGE_VAL));
    }
  }
  r.batch = static_cast<std::int64_t>(r.lower.size() / n);
  return r;
}

Forms identity_of(const Network& network, ValueId value) {
  Forms f;
  f.value = value;
  f.rows = network.values[static_cast<std::size_t>(value)].size;
  f.coefficient.assign(static_cast<std::size_t>(f.rows * f.rows), 0.0);
  for (std::int64_t i = 0; i < f.rows; ++i) f.coefficient[static_cast<std::size_t>(i * f.rows + i)] = 1;
  return f;
}

Json numbers(const std::vector<double>& v, double (*outward)(double)) {
  Json list = Json::array();
  for (const double x : v) {
    // JSON has no infinity: the lost bound is a text that cannot be taken for a number.
    if (std::isfinite(x)) list.push_back(outward(x));
    else list.push_back(x > 0 ? "inf" : "-inf");
  }
  return list;
}

Result<void> write_planes(const std::string& path, const BoundResult& b, std::int64_t inputs) {
  const auto tensor = [&](const std::vector<double>& v, bool matrix) {
    Shape shape{b.batch, b.rows};
    if (matrix) shape.push_back(inputs);
    return Tensor::from_doubles(DataType::float64, shape, v);
  };
  BL_TRY(bytes, encode_npz({{"lower_plane", tensor(b.lower_plane, true)}, {"lower_offset", tensor(b.lower_offset, false)},
                            {"upper_plane", tensor(b.upper_plane, true)}, {"upper_offset", tensor(b.upper_offset, false)}}));
  return write_file(path, bytes);
}

Result<int> run_bounds(const BoundsArguments& o, StopToken stop) {
  const Output output(o.json);
  BL_TRY(network, load_network(o.input.model, output));
  BL_TRY(value, find_value(*network, o.node, false));
  BL_TRY(regions, regions_of(*network, o, output));
  BL_TRY(engine, make_engine(network, o.device));
  BoundOptions options;
  options.method = method_names().at(o.method);
  options.semantics = o.semantics == "real" ? Semantics::real : Semantics::float32_any_order;
  options.precision = o.precision == "float" ? Precision::single : o.precision == "double" ? Precision::dual : Precision::automatic;
  options.sound = !o.unsound;
  options.planes = !o.planes.empty();
  options.alpha_steps = o.alpha_steps;
  options.memory = o.memory << 20;
  options.stop = o.timeout > 0 ? stop.with_deadline(o.timeout) : stop;
  const auto start = std::chrono::steady_clock::now();
  BL_TRY(bounds, engine->bound(regions, identity_of(*network, value), options));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const auto& v = network->values[static_cast<std::size_t>(value)];
  double charge = 0;
  for (const double c : bounds.charge) charge += c;
  if (output.text()) {
    if (o.unsound) std::printf("UNSOUND: rounding charges left out; these numbers are no bounds\n");
    if (!bounds.complete) std::printf("stopped early: sound, but looser than asked for\n");
    for (std::int64_t b = 0; b < bounds.batch; ++b)
      for (std::int64_t r = 0; r < bounds.rows; ++r) {
        const auto i = static_cast<std::size_t>(b * bounds.rows + r);
        std::printf("%s[%lld]%s  [%.17g, %.17g]\n", v.name.c_str(), static_cast<long long>(r), bounds.batch > 1 ? (" region " + std::to_string(b)).c_str() : "",
                    printable_down(bounds.lower[i]), printable_up(bounds.upper[i]));
      }
    std::printf("%s, %s semantics, %.3g s, rounding charges %.3g in all\n", o.method.c_str(), o.semantics.c_str(), seconds, charge);
    for (const auto& note : bounds.notes) std::printf("note: %s\n", note.c_str());
  }
  if (!o.planes.empty()) BL_CHECK(write_planes(o.planes, bounds, network->input_size()));
  Shape shape = v.shape;
  if (bounds.batch > 1) shape.insert(shape.begin(), bounds.batch);
  Json region = o.box.empty() ? Json{{"eps", o.region.eps}, {"norm", o.region.norm}, {"clip", o.region.clip.empty() ? "natural" : o.region.clip}} : Json{{"box", o.box}};
  BL_CHECK(output.finish({{"model", network->source}, {"sha256", network->sha256}, {"input", o.input.inputs}, {"region", region}, {"method", o.method},
                          {"semantics", o.semantics}, {"precision", o.precision}, {"device", engine->device()}, {"sound", !o.unsound}, {"complete", bounds.complete},
                          {"seed", 0}, {"seconds", seconds}, {"charges", charge}, {"notes", bounds.notes},
                          {"outputs", Json::array({{{"name", v.name}, {"shape", shape}, {"lower", numbers(bounds.lower, printable_down)}, {"upper", numbers(bounds.upper, printable_up)}}})}}));
  return bounds.complete ? kDone : stop.cancelled() ? kInterrupted : kTimeout;
}

}  // namespace

void add_bounds(CLI::App& app, Session& session) {
  auto* command = app.add_subcommand("bounds", "Certified bounds of a value over a region of inputs");
  auto o = std::make_shared<BoundsArguments>();
  add_input_options(*command, o->input, false);
  add_region_options(*command, o->region);
  command->add_option("--box", o->box, "Lower and upper ends as arrays, in the network's own units")->expected(2)->type_name("LOWER UPPER")->group("Region");
  command->add_option("--node", o->node, "Value to bound by name; default: output 0");
  command->add_option("--method", o->method, "interval, forward, crown, combined or alpha")->check(CLI::IsMember({"interval", "forward", "crown", "combined", "alpha"}))->capture_default_str();
  command->add_option("--semantics", o->semantics, "real, or float32-any-order: also every float32 evaluation")->check(CLI::IsMember({"real", "float32-any-order"}))->capture_default_str();
  command->add_option("--precision", o->precision, "auto, float or double")->check(CLI::IsMember({"auto", "float", "double"}))->capture_default_str();
  command->add_option("--device", o->device, "cpu, cuda or emulated")->capture_default_str();
  command->add_option("--alpha-steps", o->alpha_steps, "Steps of method alpha")->check(CLI::NonNegativeNumber)->capture_default_str();
  command->add_option("--memory", o->memory, "Cap for rows in flight, MiB (default: half of the machine's memory)");
  command->add_option("--timeout", o->timeout, "Seconds; the best sound bounds so far are printed, exit code 12")->check(seconds());
  command->add_option("--planes", o->planes, "Write the linear planes in the inputs to FILE.npz")->type_name("FILE");
  command->add_flag("--unsound", o->unsound, "Leave out the rounding charges, to measure their price; the result is no bound");
  add_json_option(*command, o->json);
  command->footer("Example: boundlight bounds examples/honest.onnx --input examples/images.npz:images[0] --eps 2/255 --method combined");
  command->callback([&session, o] { session.run = [o, &session] { return run_bounds(*o, session.stop); }; });
}

}  // namespace boundlight::cli
