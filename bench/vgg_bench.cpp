// A VGG-16-shaped network (random weights, 1x3x224x224; Simonyan and Zisserman 2015, configuration D): `interval`, and `crown`
// for ten outputs with intermediate boxes by interval, under a cap for rows in flight. Prints seconds and peak memory.
//   bench_vgg FILE [MEMORY_MIB] [float|auto|double]      FILE: the model, made when it is not there (550 MB)
#include <cmath>
#include <cstdio>
#include <fstream>
#include <random>

#include "bench_models.hpp"
#include "support/onnx_build.hpp"

using namespace boundlight;
using namespace boundlight::bench;

namespace {

class Vgg {
 public:
  Vgg() : model_(13) {
    model_.input("image", {1, 3, 224, 224});
    for (const int width : {64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0}) {
      if (width > 0) conv(width);
      else step("MaxPool", {test::attribute("kernel_shape", std::vector<std::int64_t>{2, 2}), test::attribute("strides", std::vector<std::int64_t>{2, 2})});
    }
    step("Flatten", {});
    dense(512 * 7 * 7, 4096, true);
    dense(4096, 4096, true);
    dense(4096, 1000, false);
    model_.output(at_, {1, 1000});
  }
  void write(const std::string& file) const {
    std::ofstream out(file, std::ios::binary);
    if (!model_.model.SerializeToOstream(&out)) throw std::runtime_error(file + ": cannot be written");
  }

 private:
  void step(const std::string& op, std::initializer_list<onnx::AttributeProto> attributes, const std::vector<std::string>& constants = {}) {
    std::vector<std::string> inputs{at_};
    inputs.insert(inputs.end(), constants.begin(), constants.end());
    at_ = "v" + std::to_string(++count_);
    model_.node(op, inputs, {at_}, attributes);
  }
  // Variance 2 / fan-in, so that values keep their size.
  std::string weights(const std::vector<std::int64_t>& dims, std::int64_t fan_in) {
    std::size_t n = 1;
    for (const auto d : dims) n *= static_cast<std::size_t>(d);
    std::normal_distribution<float> normal(0, std::sqrt(2.0F / static_cast<float>(fan_in)));
    std::vector<float> values(n);
    for (float& v : values) v = normal(random_);
    const std::string name = "w" + std::to_string(count_) + "_" + std::to_string(dims.size());
    model_.initializer(test::tensor(name, dims, values));
    return name;
  }
  void conv(std::int64_t width) {
    const std::int64_t fan_in = channels_ * 9;
    const auto w = weights({width, channels_, 3, 3}, fan_in), b = weights({width}, fan_in);
    step("Conv", {test::attribute("kernel_shape", std::vector<std::int64_t>{3, 3}), test::attribute("pads", std::vector<std::int64_t>{1, 1, 1, 1})}, {w, b});
    step("Relu", {});
    channels_ = width;
  }
  void dense(std::int64_t in, std::int64_t out, bool relu) {
    const auto w = weights({out, in}, in), b = weights({out}, in);
    step("Gemm", {test::attribute("transB", 1)}, {w, b});
    if (relu) step("Relu", {});
  }

  test::ModelBuilder model_;
  std::mt19937_64 random_{1};
  std::string at_ = "image";
  int count_ = 0;
  std::int64_t channels_ = 3;
};

void measure(Engine& engine, const Regions& box, const Forms& forms, const BoundOptions& options, const char* what) {
  reset_peak();
  BoundResult result;
  const double cpu = cpu_seconds();
  const double s = seconds_of([&] { result = test::must(engine.bound(box, forms, options)); });
  std::printf("| %s | %.1f | %.1f | %lld | %.0f | %.6g |\n", what, s, cpu_seconds() - cpu, static_cast<long long>(result.counters.rows), peak_megabytes(), mean_width(result));
  std::fflush(stdout);
}

void run(const std::string& file, std::uint64_t memory, Precision precision) {
  if (!std::filesystem::exists(file)) Vgg().write(file);
  const auto network = test::must(prepare(test::must(load_onnx(file))));
  auto engine = test::must(make_engine(network));
  Regions box;
  box.batch = 1;
  std::mt19937_64 random(2);
  std::uniform_real_distribution<double> pixel(0, 1);
  for (std::int64_t i = 0; i < network->input_size(); ++i) {
    const double x = pixel(random);
    box.lower.push_back(x - 1e-6);
    box.upper.push_back(x + 1e-6);
  }
  Forms forms = logits_of(*network);
  const auto size = static_cast<std::size_t>(forms.rows);
  forms.rows = 10;
  forms.coefficient.resize(10 * size);
  BoundOptions options;
  options.memory = memory;
  options.precision = precision;
  std::printf("| VGG-16, 10 outputs | seconds | cpu seconds | rows | peak MiB | mean width |\n|---|---|---|---|---|---|\n");
  options.method = Method::interval;
  measure(*engine, box, forms, options, "interval, first call (kernels made)");
  measure(*engine, box, forms, options, "interval");
  options.method = Method::crown;
  options.intermediate_by_interval = true;
  measure(*engine, box, forms, options, "crown, boxes by interval");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: bench_vgg FILE [MEMORY_MIB] [float|auto|double]\n");
    return 1;
  }
  try {
    const std::string precision = argc > 3 ? argv[3] : "auto";
    run(argv[1], static_cast<std::uint64_t>(argc > 2 ? std::max(0, std::atoi(argv[2])) : 0) << 20,
        precision == "float" ? Precision::single : precision == "double" ? Precision::dual : Precision::automatic);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
  return 0;
}
