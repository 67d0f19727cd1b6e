// usage: make_fuzz_seeds FOLDER
// Writes FOLDER/{onnx,image,array,input,property,check_model,certificate}/*.bin: small files of every kind that the readers know, from which fuzzing starts.
#include <zlib.h>

#include <cstdio>
#include <filesystem>
#include <functional>

#include <jpeglib.h>

#include "boundlight/core/files.hpp"
#include "boundlight/models/array.hpp"
#include "boundlight/models/image.hpp"
#include "boundlight/solver/evidence/write.hpp"
#include "fuzz/false_claim.hpp"
#include "support/onnx_build.hpp"

using namespace boundlight;
using namespace boundlight::test;

namespace {

std::filesystem::path root;

void keep(const std::string& name, const std::string& bytes) {
  const auto path = root / (name + ".bin");
  std::filesystem::create_directories(path.parent_path());
  if (const auto written = write_file(path, bytes); !written.ok()) std::fprintf(stderr, "%s\n", written.error().text().c_str());
}

ModelBuilder base(std::int64_t opset = 17, std::int64_t ir = 8) {
  ModelBuilder m(opset, ir);
  m.input("x", {-1, 2});
  m.initializer(tensor("w", {2, 2}, std::vector<float>{1, 2, 3, 4}));
  m.node("MatMul", {"x", "w"}, {"h"});
  m.node("Relu", {"h"}, {"y"}).set_name("r");
  m.value_info("h", {-1, 2});
  m.output("y", {-1, 2});
  return m;
}

void onnx_seeds() {
  keep("onnx/base", base().bytes());
  keep("onnx/old", base(6, 3).bytes());
  keep("onnx/new", base(22, 11).bytes());
  const auto variant = [](const std::string& name, const std::function<void(ModelBuilder&)>& change) {
    auto m = base();
    change(m);
    keep("onnx/" + name, m.bytes());
  };
  variant("attributes", [](auto& m) {
    m.node("Conv", {"x", "", "w"}, {"z"}, {attribute("group", 1), attribute("alpha", 0.5F), attribute("auto_pad", "VALID"), attribute("pads", std::vector<std::int64_t>{0, 1}),
           attribute("f", std::vector<float>{1}), attribute("value", tensor("", {1}, std::vector<double>{1}))});
  });
  variant("cycle", [](auto& m) { m.node("Add", {"a", "b"}, {"c"}); m.node("Neg", {"c"}, {"b"}); m.node("Neg", {"x"}, {"a"}); });
  variant("input_initializer", [](auto& m) { m.input("w", {2, 2}); });
  variant("external", [](auto& m) {
    auto t = raw_tensor("e", 1, {2}, "");
    t.set_data_location(onnx::TensorProto::EXTERNAL);
    auto& e = *t.add_external_data();
    e.set_key("location");
    e.set_value("w.bin");
    m.initializer(t);
  });
  variant("types", [](auto& m) {
    for (int type = 1; type <= 16; ++type) {
      auto t = raw_tensor(std::string(1, static_cast<char>('a' + type)), type, {1}, "");
      t.clear_raw_data();
      if (type == 1) t.add_float_data(1);
      else if (type == 7) t.add_int64_data(1);
      else if (type == 11) t.add_double_data(1);
      else if (type >= 12 && type < 14) t.add_uint64_data(1);
      else if (type != 8 && type < 14) t.add_int32_data(1);
      if (type != 8 && type != 14 && type != 15) m.initializer(t);
    }
  });
  variant("subgraph", [](auto& m) { auto& a = *m.node("If", {"x"}, {"z"}).add_attribute(); a.set_name("then_branch"); a.mutable_g()->add_node(); });
  variant("function", [](auto& m) { auto& f = *m.model.add_functions(); f.set_name("F"); f.set_domain("d"); m.import_domain("d", 1); m.model.add_training_info(); });
  variant("kinds", [](auto& m) { auto& i = *m.graph().add_input(); i.set_name("s"); i.mutable_type()->mutable_sequence_type(); });
  variant("sparse", [](auto& m) { m.graph().add_sparse_initializer()->mutable_values()->set_name("s"); });
}

std::string big_endian(std::uint32_t x) {
  return {static_cast<char>(x >> 24), static_cast<char>(x >> 16), static_cast<char>(x >> 8), static_cast<char>(x)};
}

std::string chunk(const std::string& type, const std::string& data) {
  const std::string body = type + data;
  return big_endian(static_cast<std::uint32_t>(data.size())) + body + big_endian(static_cast<std::uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()))));
}

std::string png(int depth, int colour, std::size_t row_bytes, const std::string& extra = "", int interlace = 0) {
  std::string raw;
  for (int r = 0; r < 4; ++r) raw.append(1 + row_bytes, static_cast<char>(r));  // filter r, samples r
  if (interlace != 0) raw.append(64, '\0');
  uLongf size = compressBound(raw.size());
  std::string packed(size, '\0');
  compress(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(raw.data()), raw.size());
  packed.resize(size);
  std::string head = big_endian(4) + big_endian(4);
  for (int v : {depth, colour, 0, 0, interlace}) head += static_cast<char>(v);
  return "\x89PNG\r\n\x1a\n" + chunk("IHDR", head) + extra + chunk("IDAT", packed) + chunk("IEND", "");
}

std::string jpeg(int components, bool progressive, int size) {
  jpeg_compress_struct codec{};
  jpeg_error_mgr errors{};
  codec.err = jpeg_std_error(&errors);
  jpeg_create_compress(&codec);
  unsigned char* out = nullptr;
  unsigned long length = 0;
  jpeg_mem_dest(&codec, &out, &length);
  codec.image_width = codec.image_height = static_cast<JDIMENSION>(size);
  codec.input_components = components;
  codec.in_color_space = components == 1 ? JCS_GRAYSCALE : components == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&codec);
  if (progressive) jpeg_simple_progression(&codec);
  jpeg_start_compress(&codec, TRUE);
  std::vector<JSAMPLE> row(static_cast<std::size_t>(size * components));
  for (int r = 0; r < size; ++r) {
    for (std::size_t i = 0; i < row.size(); ++i) row[i] = static_cast<JSAMPLE>(i * 7 + static_cast<std::size_t>(r) * 13);
    JSAMPLE* p = row.data();
    jpeg_write_scanlines(&codec, &p, 1);
  }
  jpeg_finish_compress(&codec);
  jpeg_destroy_compress(&codec);
  std::string bytes(reinterpret_cast<char*>(out), length);
  free(out);
  return bytes;
}

void image_seeds() {
  const std::string palette = chunk("PLTE", "abcdefghijkl"), clear = chunk("tRNS", "ab");
  keep("image/grey1", png(1, 0, 1));
  keep("image/grey8", png(8, 0, 4));
  keep("image/grey16", png(16, 0, 8));
  keep("image/rgb8", png(8, 2, 12));
  keep("image/rgba16", png(16, 6, 32));
  keep("image/grey_alpha", png(8, 4, 8));
  keep("image/palette", png(2, 3, 1, palette + clear));
  keep("image/colour_key", png(8, 0, 4, clear));
  keep("image/interlaced", png(8, 0, 4, "", 1));
  keep("image/jpeg_grey", jpeg(1, false, 8));
  keep("image/jpeg_rgb", jpeg(3, false, 17));
  keep("image/jpeg_progressive", jpeg(3, true, 9));
  keep("image/jpeg_cmyk", jpeg(4, false, 8));
}

void array_seeds() {
  std::vector<std::pair<std::string, Tensor>> members;
  for (const auto type : {DataType::float32, DataType::float16, DataType::int64, DataType::uint8, DataType::boolean}) {
    members.emplace_back(std::string(name_of(type)), Tensor::from_int64s(type, {2, 3}, {0, 1, 2, 3, 4, 5}));
    keep("array/npy_" + members.back().first, encode_npy(members.back().second));
  }
  keep("array/npz", *encode_npz({members[0], members[3]}));
  const auto dictionary = [](std::string text, int version) {
    std::string bytes = std::string("\x93NUMPY") + static_cast<char>(version) + '\0' + static_cast<char>(text.size()) + '\0';
    if (version > 1) bytes += std::string(2, '\0');
    return bytes + text;
  };
  keep("array/npy_fortran", dictionary("{'descr': '>u2', 'fortran_order': True, 'shape': (2, 2), }", 2) + "abcdefgh");
  keep("array/npy_records", dictionary("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1L,)}", 1) + "abcd");
  keep("array/csv", "a,b\n1,2\n3e1,-4\n");
  keep("array/csv_blanks", "# c\n1 2\t3\n");
  keep("array/address", "@f.npz:a[1,:,-2:3]");
  keep("array/address_plain", "@f.npy[0]");
}

void input_seeds() {
  const auto shapes = [](std::initializer_list<int> model, std::initializer_list<int> array) {
    std::string bytes(1, static_cast<char>(model.size()));
    for (int d : model) bytes += static_cast<char>(d);
    bytes += static_cast<char>(array.size());
    for (int d : array) bytes += static_cast<char>(d);
    return bytes;
  };
  keep("input/plain", shapes({0, 6}, {6}) + "{}");
  keep("input/square", shapes({0, 7, 0}, {7}) + "{\"mean\": 0.5, \"std\": 2, \"scale\": \"1/255\"}");
  keep("input/planes", shapes({10, 1, 4, 4}, {4, 4, 1}) + "{\"mean\": [1, 2, 3], \"channels\": \"bgr\"}");
  keep("input/last", shapes({10, 4, 4, 1}, {9, 1, 4, 4}) + "{\"layout\": \"nhwc\", \"labels\": [\"a\"]}");
  keep("input/resized", shapes({0, 0, 4, 4}, {5, 5}) + "{\"resize\": true}");
  keep("input/shaped", shapes({0, 8}, {8}) + "{\"image\": [8, 8, 3], \"layout\": \"nchw\"}");
  keep("input/free", shapes({10, 1, 10, 10}, {4, 5, 1}) + "{\"resize\": \"8x8\"}");
}

void property_seeds() {
  keep("property/false_claim", fuzz::false_claim_spec());
  const std::string names = "(declare-const X_0 Real) ; in\n(declare-fun Y_0 () Real)(declare-const Y_1 Real)\n(assert (<= -1 X_0 1e0))\n";
  keep("property/nested", names + "(assert (or (and (<= Y_0 Y_1) (not (= Y_0 (/ 1 3)))) (and (>= X_0 .5) (< X_0 0.5))))");
  keep("property/linear", names + "(assert (> (+ (* 2 X_0 -1.5e-3) (- Y_0) (- Y_1 3)) (* (/ 4 5) (- 6))))");
  keep("property/product", names + "(assert (or (<= Y_0 0) (>= Y_0 1)))(assert (or (<= Y_1 0) (>= Y_1 1)))(assert (= Y_0 Y_1))");
  keep("property/empty", names + "(assert (>= X_0 2))(assert (<= (- Y_0 Y_0) 0))");
  keep("property/json", R"({"property": "robustness", "image": [[0, 51], [102, 255]], "scale": "1/255", "eps": 0.1, "mean": [0.5, 0.25], "std": [0.5, 2], "label": 1, "classes": 3})");
  keep("property/json_more", R"({"property": "robustness", "image": [0.5], "eps": "2/255", "clip": null, "label": 0, "classes": 2, "targets": [1], "margin": -1e-3, "tie": "allowed", "channels": "last"})");
}

void check_model_seeds() {
  keep("check_model/false_claim", fuzz::false_claim_model());
  using onnx_bytes::attribute;
  using Dims = onnx_bytes::Dims;
  const auto variant = [](const std::string& name, const Dims& in, const std::function<void(onnx_bytes::Graph&)>& make) {
    onnx_bytes::Graph g;
    g.input = "x";
    g.output = "y";
    g.input_dims = in;
    g.output_dims = {1};
    for (const char* v : {"a", "b", "c", "v"}) g.constant(v, {2}, std::vector<float>{1, 0.5F});
    g.constant("k", {2, 2, 2, 2}, std::vector<float>(16, 0.25F));
    g.constant("axes", {1}, std::vector<std::int64_t>{1});
    g.constant("shape", {2}, std::vector<std::int64_t>{0, -1});
    g.constant("pads", {8}, std::vector<std::int64_t>{0, 0, 1, 0, 0, 0, 0, 1});
    make(g);
    keep("check_model/" + name, g.model());
  };
  const Dims image = {1, 2, 4, 4};
  variant("conv", image, [](auto& g) { g.node("Conv", {"x", "k", "a"}, {"z"}, attribute("pads", Dims{1, 1, 0, 0}) + attribute("strides", Dims{2, 1})); g.node("Relu", {"z"}, {"y"}); });
  variant("pools", image, [](auto& g) {
    g.node("MaxPool", {"x"}, {"m"}, attribute("kernel_shape", Dims{2, 2}) + attribute("pads", Dims{0, 1, 0, 1}));
    g.node("AveragePool", {"m"}, {"n"}, attribute("kernel_shape", Dims{3, 3}) + attribute("count_include_pad", std::int64_t{1}));
    g.node("GlobalAveragePool", {"n"}, {"y"});
  });
  variant("norm", image, [](auto& g) { g.node("BatchNormalization", {"x", "a", "b", "c", "v"}, {"n"}); g.node("Pad", {"n", "pads"}, {"p"}); g.node("Transpose", {"p"}, {"t"}, attribute("perm", Dims{0, 2, 3, 1})); g.node("LeakyRelu", {"t"}, {"y"}); });
  variant("shapes", {1, 2}, [](auto& g) { g.node("Unsqueeze", {"x", "axes"}, {"u"}); g.node("Squeeze", {"u", "axes"}, {"s"}); g.node("Reshape", {"s", "shape"}, {"r"}); g.node("Flatten", {"r"}, {"f"}); g.node("Div", {"f", "a"}, {"d"}); g.node("Tanh", {"d"}, {"y"}); });
  variant("unknown", {1, 2}, [](auto& g) { g.infos = onnx_bytes::Graph::info(13, "u", {1, 2}); g.node("Mystery", {"x"}, {"u"}); g.node("Mul", {"a", "u"}, {"y"}); });
}

void certificate_seeds() {
  check::Certificate c;
  c.engine = "seed";
  fuzz::address(c);
  check::Node leaf, split, input, clip;
  leaf.lambda = {1, 0.5};
  leaf.beta = {0.25F};
  leaf.slopes = {{c.name_id("h"), 1, {}, {0, 255}}, {c.name_id("p"), 2, {0}, {40000, 20000}}};
  split.kind = check::Node::Kind::relu_split;
  split.value = c.name_id("z");
  split.bounds = 3;
  input.kind = check::Node::Kind::input_split;
  input.at = 0.25;
  clip.kind = check::Node::Kind::clip;
  clip.lambda = {1, 0};
  clip.cuts = {{0, true, 0.75}};
  const auto placed = [](check::Node n, std::int32_t low, std::int32_t high) { n.low = low; n.high = high; return n; };
  c.bounds.resize(3);
  c.bounds[1].mode = check::Bounds::Mode::backward;
  check::BackwardStep step;
  step.value = c.name_id("z");
  step.listed = {0, 1};
  step.each_lower = {{}, {}};
  c.bounds[2].steps = {step};
  c.proofs = {{0, 0, 0, {{placed(split, 1, 2), leaf, placed(input, 3, 4), leaf, placed(clip, 5, -1), leaf}}}, {0, 1, 0, {{leaf}}}};
  c.proofs[1].tree.nodes[0].bounds = 2;
  keep("certificate/tree", check::serialize(c));
  c.semantics = check::Semantics::float32_any_order;
  check::Statement own;
  own.kind = check::Statement::Kind::inlined;
  own.title = "inlined";
  own.lower = {-1, -1};
  own.upper = {1, 1};
  own.disjuncts = {{{{{0}, {0}, {1}, {-1}, 5, true}}}};
  c.statements.push_back(own);
  check::Statement map;
  map.kind = check::Statement::Kind::importance;
  map.importance.pixels = map.importance.x = {0.25, 0.5};
  map.importance.eps = 0.125;
  map.importance.clip = {0, 1};
  map.importance.cell = {0, 1};
  map.importance.rivals = {1};
  map.importance.verified = {1, 0.5, 0.5};
  map.importance.attained = {-1, -1, -1};
  map.importance.points = {{0.25, 0.5}, {0.25, 0.5}, {0.25, 0.5}};
  map.importance.lower = {0, 0};
  map.importance.upper = {2, 2};
  map.importance.undecided = 1;
  c.statements.push_back(map);
  c.proofs.push_back({1, 0, 0, {{leaf}}});
  c.proofs.push_back({2, 0, 1, {{leaf}}});
  keep("certificate/inlined", check::serialize(c));
}

}  // namespace

int main(int count, char** words) {
  if (count != 2) {
    std::fprintf(stderr, "usage: make_fuzz_seeds FOLDER\n");
    return 2;
  }
  root = words[1];
  onnx_seeds();
  image_seeds();
  array_seeds();
  input_seeds();
  property_seeds();
  check_model_seeds();
  certificate_seeds();
  return 0;
}
