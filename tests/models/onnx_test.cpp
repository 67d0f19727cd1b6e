// What the reader takes from good models, and that bad ones are refused by place in one sentence.
#include <catch2/catch.hpp>
#include <fstream>
#include <random>

#include "boundlight/core/files.hpp"
#include "boundlight/models/onnx.hpp"
#include "support/errors.hpp"
#include "support/folders.hpp"
#include "support/onnx_build.hpp"

using namespace boundlight;
using namespace boundlight::test;
using onnx::TensorProto;

namespace {

Result<Graph> parse(const ModelBuilder& m) { return parse_onnx(m.bytes(), "m.onnx", {}); }

// y = Relu(x W + b).
ModelBuilder small_model(std::int64_t opset = 17, std::int64_t ir = 8) {
  ModelBuilder m(opset, ir);
  m.input("x", {1, 2});
  m.initializer(tensor("w", {2, 2}, std::vector<float>{1, 2, 3, 4}));
  m.initializer(tensor("b", {2}, std::vector<float>{0.5F, -0.5F}));
  m.node("MatMul", {"x", "w"}, {"h"});
  m.node("Add", {"h", "b"}, {"s"});
  m.node("Relu", {"s"}, {"y"}).set_name("last");
  m.output("y", {1, 2});
  return m;
}

ModelBuilder with_tensor(const TensorProto& t) {
  ModelBuilder m;
  m.initializer(t);
  m.output(t.name());
  return m;
}

const Tensor& constant(const Graph& g, const std::string& name) {
  for (const auto& v : g.values) if (v.name == name) return *v.constant;
  throw std::logic_error("no value " + name);
}

}  // namespace

TEST_CASE("a model becomes a graph") {
  auto m = small_model();
  m.model.set_producer_name("maker");
  m.model.set_producer_version("2");
  auto& entry = *m.model.add_metadata_props();
  entry.set_key("classes");
  entry.set_value("cat,dog");
  const auto graph = parse(m);
  REQUIRE(graph.ok());
  const Graph& g = *graph;
  CHECK(g.source == "m.onnx");
  CHECK(g.sha256 == sha256_hex(m.bytes()));
  CHECK(g.producer == "maker 2");
  CHECK(g.opset == 17);
  CHECK(g.ir_version == 8);
  CHECK(g.metadata.at("classes") == "cat,dog");
  CHECK(g.notes.empty());
  REQUIRE(g.nodes.size() == 3);
  CHECK(g.nodes[0].name == "MatMul_0");
  CHECK(g.nodes[2].name == "last");
  CHECK(g.place(g.nodes[2]) == "m.onnx: node last (Relu)");
  CHECK(g.nodes[2].version == 17);
  REQUIRE(g.inputs.size() == 1);
  CHECK(g.values[static_cast<std::size_t>(g.inputs[0])].shape == Shape{1, 2});
  CHECK(constant(g, "w").to_doubles() == std::vector<double>{1, 2, 3, 4});
}

TEST_CASE("every element type, raw and typed, inline and external") {
  ScratchFolder folder;
  const std::vector<double> expected{0, 1, 100};
  const auto check = [&](int type, auto fill_typed) {
    TensorProto t;
    t.set_name("t");
    t.set_data_type(type);
    t.add_dims(3);
    fill_typed(t);
    const auto typed = parse(with_tensor(t));
    REQUIRE(typed.ok());
    const Tensor& a = constant(*typed, "t");
    CHECK(a.to_doubles() == (type == TensorProto::BOOL ? std::vector<double>{0, 1, 1} : expected));

    const auto raw = parse(with_tensor(raw_tensor("t", type, {3}, std::string(a.bytes()))));
    REQUIRE(raw.ok());
    CHECK(constant(*raw, "t").bytes() == a.bytes());

    std::ofstream(folder / "weights.bin", std::ios::binary) << "skip" << a.bytes() << "more";
    auto external = raw_tensor("t", type, {3}, "");
    external.clear_raw_data();
    external.set_data_location(TensorProto::EXTERNAL);
    const auto add = [&](const char* key, const std::string& value) {
      auto& e = *external.add_external_data();
      e.set_key(key);
      e.set_value(value);
    };
    add("location", "weights.bin");
    add("offset", "4");
    add("length", std::to_string(a.bytes().size()));
    std::ofstream(folder / "m.onnx", std::ios::binary) << with_tensor(external).bytes();
    const auto loaded = load_onnx(folder / "m.onnx");
    REQUIRE(loaded.ok());
    CHECK(constant(*loaded, "t").type() == a.type());
    CHECK(constant(*loaded, "t").bytes() == a.bytes());
  };
  const auto in_int32 = [](TensorProto& t) { for (int v : {0, 1, 100}) t.add_int32_data(v); };
  check(TensorProto::FLOAT, [](TensorProto& t) { for (float v : {0, 1, 100}) t.add_float_data(v); });
  check(TensorProto::DOUBLE, [](TensorProto& t) { for (double v : {0, 1, 100}) t.add_double_data(v); });
  check(TensorProto::INT64, [](TensorProto& t) { for (int v : {0, 1, 100}) t.add_int64_data(v); });
  check(TensorProto::UINT64, [](TensorProto& t) { for (unsigned v : {0, 1, 100}) t.add_uint64_data(v); });
  check(TensorProto::UINT32, [](TensorProto& t) { for (unsigned v : {0, 1, 100}) t.add_uint64_data(v); });
  for (int type : {TensorProto::INT32, TensorProto::INT16, TensorProto::INT8, TensorProto::UINT16, TensorProto::UINT8, TensorProto::BOOL}) check(type, in_int32);
  check(TensorProto::FLOAT16, [](TensorProto& t) { for (int v : {0, 0x3C00, 0x5640}) t.add_int32_data(v); });
  check(TensorProto::BFLOAT16, [](TensorProto& t) { for (int v : {0, 0x3F80, 0x42C8}) t.add_int32_data(v); });
}

TEST_CASE("nodes in any order are sorted, in the file's order where that is one") {
  ModelBuilder m;
  m.input("x", {1});
  m.node("Relu", {"c"}, {"d"}).set_name("third");
  m.node("Relu", {"a"}, {"b"}).set_name("first");
  m.node("Relu", {"b"}, {"c"}).set_name("second");
  m.node("Relu", {"x"}, {"a"}).set_name("zeroth");
  m.output("d");
  const auto g = parse(m);
  REQUIRE(g.ok());
  std::string order;
  for (const auto& n : g->nodes) order += n.name + " ";
  CHECK(order == "zeroth first second third ");
}

TEST_CASE("attributes of every supported kind") {
  auto m = small_model();
  auto& n = m.node("Made", {"x", "", "x"}, {"", "z"},
                   {attribute("i", 3), attribute("f", 0.5F), attribute("s", "text"), attribute("is", std::vector<std::int64_t>{1, -2}),
                    attribute("fs", std::vector<float>{0.25F}), attribute("t", tensor("", {1}, std::vector<double>{7}))});
  auto& strings = *n.add_attribute();
  strings.set_name("ss");
  strings.set_type(onnx::AttributeProto::STRINGS);
  strings.add_strings("a");
  auto& untyped = *n.add_attribute();
  untyped.set_name("untyped");
  untyped.set_i(9);
  const auto g = parse(m);
  REQUIRE(g.ok());
  const auto& node = g->nodes[3];
  CHECK(node.inputs[1] == kAbsent);
  CHECK(node.inputs[0] == node.inputs[2]);
  CHECK(node.outputs[0] == kAbsent);
  CHECK(std::get<std::int64_t>(node.attributes.at("i")) == 3);
  CHECK(std::get<double>(node.attributes.at("f")) == 0.5);
  CHECK(std::get<std::string>(node.attributes.at("s")) == "text");
  CHECK(std::get<std::vector<std::int64_t>>(node.attributes.at("is")) == std::vector<std::int64_t>{1, -2});
  CHECK(std::get<std::vector<double>>(node.attributes.at("fs")) == std::vector<double>{0.25});
  CHECK(std::get<std::vector<std::string>>(node.attributes.at("ss")) == std::vector<std::string>{"a"});
  CHECK(std::get<Tensor>(node.attributes.at("t")).to_doubles() == std::vector<double>{7});
  CHECK(std::get<std::int64_t>(node.attributes.at("untyped")) == 9);
}

TEST_CASE("initializers that are inputs too") {
  for (const std::int64_t ir : {3, 8}) {
    auto m = small_model(9, ir);
    m.input("w", {2, 2});
    const auto g = parse(m);
    REQUIRE(g.ok());
    CHECK(g->inputs.size() == 1);
    CHECK(g->notes.size() == (ir < 4 ? 0 : 1));
  }
  auto m = small_model();
  m.input("w", {2, 3});
  check_refused(parse(m), "m.onnx: initializer w", "declared as 2x2, elsewhere as 2x3");
}

TEST_CASE("versions: other opsets and newer IR versions tried with a note, impossible ones refused") {
  const auto older = parse(small_model(6));
  REQUIRE(older.ok());
  REQUIRE(older->notes.size() == 1);
  CHECK(older->notes[0].find("older than 7") != std::string::npos);
  check_refused(parse(small_model(0)), "m.onnx", "imports version 0");
  check_refused(parse(small_model(17, 2)), "m.onnx", "version_converter", ErrorKind::unsupported);
  check_refused(parse(small_model(17, 0)), "m.onnx", "IR version");
  for (const std::int64_t opset : {7, 21}) {
    const auto g = parse(small_model(opset, 10));
    REQUIRE(g.ok());
    CHECK(g->notes.empty());
  }
  const auto newer = parse(small_model(22, 11));
  REQUIRE(newer.ok());
  CHECK(newer->notes.size() == 2);
  auto two = small_model();
  two.import_domain("ai.onnx", 13);
  check_refused(parse(two), "m.onnx", "two versions");
  ModelBuilder none;
  none.model.clear_opset_import();
  none.output("x");
  check_refused(parse(none), "m.onnx", "no operator set");
  auto other = small_model();
  other.node("Gelu", {"x"}, {"z"}).set_domain("com.microsoft");
  check_refused(parse(other), "m.onnx: node Gelu_3 (Gelu)", "does not import");
}

TEST_CASE("names: dangling, doubled, missing, cyclic") {
  {
    auto m = small_model();
    m.node("Relu", {"nowhere"}, {"z"});
    check_refused(parse(m), "m.onnx: node Relu_3 (Relu)", "nowhere is made by nothing");
  }
  {
    auto m = small_model();
    m.output("nowhere");
    check_refused(parse(m), "m.onnx: output nowhere", "made by no node");
  }
  {
    ModelBuilder m;
    m.input("x", {1});
    m.node("Relu", {"x"}, {"a"});
    m.node("Add", {"a", "c"}, {"b"}).set_name("one");
    m.node("Relu", {"b"}, {"c"}).set_name("two");
    m.node("Relu", {"c"}, {"d"});
    m.output("d");
    check_refused(parse(m), "m.onnx: node", "cycle");
    CHECK((parse(m).error().place.find("node one") != std::string::npos || parse(m).error().place.find("node two") != std::string::npos));
  }
  const auto refused = [](auto change, const std::string& place, const std::string& words) {
    auto m = small_model();
    change(m);
    check_refused(parse(m), place, words);
  };
  refused([](auto& m) { m.node("Relu", {"x"}, {"h"}); }, "node Relu_3 (Relu)", "h is already another node's output");
  refused([](auto& m) { m.node("Relu", {"x"}, {"w"}); }, "node Relu_3 (Relu)", "w is already an initializer");
  refused([](auto& m) { m.node("Relu", {"s"}, {"x"}); }, "node Relu_3 (Relu)", "x is already an input");
  refused([](auto& m) { m.node("Relu", {"s"}, {}); }, "node Relu_3 (Relu)", "no output");
  refused([](auto& m) { m.node("", {"s"}, {"z"}); }, "node _3", "no operator");
  refused([](auto& m) { m.node("Relu", {"s"}, {"z", "z"}); }, "node Relu_3", "already");
  refused([](auto& m) { m.initializer(tensor("w", {1}, std::vector<float>{1})); }, "initializer w", "twice");
  refused([](auto& m) { m.initializer(tensor("", {1}, std::vector<float>{1})); }, "m.onnx", "without a name");
  refused([](auto& m) { m.input("x", {1, 2}); }, "input x", "twice");
  refused([](auto& m) { m.input("", {1, 2}); }, "m.onnx", "without a name");
  refused([](auto& m) { m.output("y"); }, "output y", "twice");
  refused([](auto& m) { m.graph().clear_output(); }, "m.onnx", "no outputs");
  refused([](auto& m) { m.value_info("h", {1, -1}); m.value_info("h", {2, 3}); }, "value h", "elsewhere as 1x?");
  refused([](auto& m) { m.value_info("y", {1, 2}, TensorProto::DOUBLE); }, "output y", "float64");
  refused([](auto& m) { m.node("Relu", {"x"}, {"\xff\n"}); }, "m.onnx", "\\xff\\x0a");
}

TEST_CASE("wrong dimensions and data lengths") {
  const auto refused = [](const TensorProto& t, const std::string& words, ErrorKind kind = ErrorKind::bad_input) {
    check_refused(parse(with_tensor(t)), "m.onnx: initializer " + t.name(), words, kind);
  };
  const std::int64_t huge = std::int64_t{1} << 62;
  refused(raw_tensor("t", TensorProto::FLOAT, {-1}, "abcd"), "negative dimension -1");
  refused(raw_tensor("t", TensorProto::FLOAT, {-2, -2}, "abcd"), "negative dimension -2");
  refused(raw_tensor("t", TensorProto::FLOAT, {huge, 4}, "abcd"), "more elements");
  refused(raw_tensor("t", TensorProto::FLOAT, {huge, huge, huge, 0}, ""), "more elements");
  refused(raw_tensor("t", TensorProto::FLOAT, {std::int64_t{1} << 39}, "abcd"), "has 4 bytes");
  refused(raw_tensor("t", TensorProto::FLOAT, {2}, "1234567"), "has 7 bytes of data, 2 of float32 needs 8");
  refused(raw_tensor("t", TensorProto::FLOAT, {1}, "12345678"), "needs 4");
  refused(raw_tensor("t", TensorProto::FLOAT, {}, ""), "scalar of float32 needs 4");
  TensorProto t;
  t.set_name("t");
  t.set_data_type(TensorProto::FLOAT);
  t.add_dims(2);
  t.add_float_data(1);
  refused(t, "has 1 values");
  t.add_float_data(1);
  auto both = t;
  both.set_raw_data("12345678");
  refused(both, "more than once");
  auto wrong_field = t;
  wrong_field.set_data_type(TensorProto::INT64);
  refused(wrong_field, "keeps its values in float_data");
  auto segment = t;
  segment.mutable_segment()->set_begin(0);
  refused(segment, "segments", ErrorKind::unsupported);
  TensorProto small;
  small.set_name("small");
  small.set_data_type(TensorProto::UINT8);
  small.add_dims(1);
  small.add_int32_data(256);
  refused(small, "does not fit uint8");
  for (const auto& [type, word] : {std::pair{8, "string"}, {14, "complex64"}, {17, "float8e4m3fn"}, {22, "int4"}, {99, "number 99"}, {0, "number 0"}, {-5, "number -5"}}) {
    refused(raw_tensor("t", type, {1}, "a"), word, ErrorKind::unsupported);
  }
  auto m = small_model();
  m.input("z", {-7});
  check_refused(parse(m), "m.onnx: input z", "negative dimension -7");
  auto n = small_model();
  n.input("z", {huge, 16});
  check_refused(parse(n), "m.onnx: input z", "more elements");
  auto empty = small_model();
  empty.input("z", {2, 0, 4});
  CHECK(parse(empty).ok());
}

TEST_CASE("NaN weights are refused by name, infinite ones are not") {
  const float nan = std::nanf("");
  check_refused(parse(with_tensor(tensor("bad", {2}, std::vector<float>{1, nan}))), "m.onnx: initializer bad", "element 1 is NaN");
  check_refused(parse(with_tensor(tensor("bad", {1}, std::vector<double>{nan}))), "m.onnx: initializer bad", "element 0 is NaN");
  check_refused(parse(with_tensor(raw_tensor("bad", TensorProto::FLOAT16, {1}, std::string("\x01\x7c", 2)))), "initializer bad", "NaN");
  check_refused(parse(with_tensor(raw_tensor("bad", TensorProto::BFLOAT16, {1}, std::string("\x81\x7f", 2)))), "initializer bad", "NaN");
  CHECK(parse(with_tensor(raw_tensor("t", TensorProto::FLOAT16, {1}, std::string("\x00\x7c", 2)))).ok());
  CHECK(parse(with_tensor(tensor("t", {1}, std::vector<float>{INFINITY}))).ok());
  auto m = small_model();
  m.node("Constant", {}, {"c"}, {attribute("value", tensor("", {1}, std::vector<float>{nan}))});
  check_refused(parse(m), "m.onnx: node Constant_3 (Constant): attribute value", "NaN");
  auto n = small_model();
  n.node("Elu", {"x"}, {"c"}, {attribute("alpha", nan)});
  check_refused(parse(n), "m.onnx: node Elu_3 (Elu): attribute alpha", "NaN");
}

TEST_CASE("attributes and constructs outside of what is supported are refused by place") {
  const auto refused = [](auto change, const std::string& place, const std::string& words, ErrorKind kind) {
    auto m = small_model();
    change(m);
    check_refused(parse(m), place, words, kind);
  };
  const auto with = [](auto fill) {
    return [fill](ModelBuilder& m) {
      auto& a = *m.node("Op", {"x"}, {"z"}).add_attribute();
      a.set_name("a");
      fill(a);
    };
  };
  using onnx::AttributeProto;
  const std::string place = "m.onnx: node Op_3 (Op): attribute a";
  refused(with([](auto& a) { a.set_type(AttributeProto::INT); a.set_f(1); }), place, "says INT but holds FLOAT", ErrorKind::bad_input);
  refused(with([](auto& a) { a.set_i(1); a.set_f(1); }), place, "no type", ErrorKind::bad_input);
  refused(with([](auto&) {}), place, "no type", ErrorKind::bad_input);
  refused(with([](auto& a) { a.mutable_unknown_fields()->AddVarint(20, 77); a.set_i(1); }), place, "unknown type 77", ErrorKind::bad_input);
  refused(with([](auto& a) { a.set_ref_attr_name("b"); }), place, "function", ErrorKind::bad_input);
  refused(with([](auto& a) { a.mutable_g(); a.set_type(AttributeProto::GRAPH); }), place, "graph inside", ErrorKind::unsupported);
  refused(with([](auto& a) { a.add_graphs(); a.set_type(AttributeProto::GRAPHS); }), place, "graph inside", ErrorKind::unsupported);
  refused(with([](auto& a) { a.mutable_sparse_tensor(); }), place, "SPARSE_TENSOR", ErrorKind::unsupported);
  refused(with([](auto& a) { a.mutable_tp(); }), place, "TYPE_PROTO", ErrorKind::unsupported);
  refused(with([](auto& a) { a.add_tensors(); }), place, "TENSORS", ErrorKind::unsupported);
  refused([](auto& m) { m.node("Op", {"x"}, {"z"}, {attribute("a", 1), attribute("a", 2)}); }, "node Op_3 (Op)", "attribute a twice", ErrorKind::bad_input);
  refused([](auto& m) { m.graph().add_sparse_initializer()->mutable_values()->set_name("sp"); }, "initializer sp", "sparse", ErrorKind::unsupported);
  refused([](auto& m) { auto& i = *m.graph().add_input(); i.set_name("q"); i.mutable_type()->mutable_sequence_type(); }, "input q", "a sequence", ErrorKind::unsupported);
  refused([](auto& m) { auto& i = *m.graph().add_input(); i.set_name("q"); i.mutable_type()->mutable_optional_type(); }, "input q", "an optional", ErrorKind::unsupported);
  refused([](auto& m) { auto& i = *m.graph().add_input(); i.set_name("q"); i.mutable_type()->mutable_map_type(); }, "input q", "a map", ErrorKind::unsupported);
  refused([](auto& m) { m.input("q", {1}, TensorProto::STRING); }, "input q", "string", ErrorKind::unsupported);
  const auto function = [](ModelBuilder& m) { auto& f = *m.model.add_functions(); f.set_name("Twice"); f.set_domain("mine"); };
  refused([&](auto& m) { function(m); m.import_domain("mine", 1); m.node("Twice", {"x"}, {"z"}).set_domain("mine"); }, "node Twice_3 (Twice)", "inline", ErrorKind::unsupported);
  auto m = small_model();
  function(m);
  m.model.add_training_info();
  m.graph().add_quantization_annotation();
  const auto g = parse(m);
  REQUIRE(g.ok());
  CHECK(g->notes.size() == 3);
}

TEST_CASE("external data stays inside the model's folder and has the right length") {
  ScratchFolder outer;
  std::filesystem::create_directories(outer / "model/sub");
  std::ofstream(outer / "secret.bin") << "01234567";
  std::ofstream(outer / "model/data.bin") << "01234567";
  std::ofstream(outer / "model/sub/data.bin") << "01234567";
  std::filesystem::create_symlink("../secret.bin", outer / "model/link.bin");
  std::filesystem::create_symlink("..", outer / "model/up");
  std::filesystem::create_symlink("data.bin", outer / "model/inner.bin");
  const auto load = [&](std::vector<std::pair<std::string, std::string>> entries, OnnxOptions options = {}) {
    auto t = raw_tensor("t", TensorProto::FLOAT, {2}, "");
    t.clear_raw_data();
    t.set_data_location(TensorProto::EXTERNAL);
    for (const auto& [key, value] : entries) {
      auto& e = *t.add_external_data();
      e.set_key(key);
      e.set_value(value);
    }
    std::ofstream(outer / "model/m.onnx", std::ios::binary) << with_tensor(t).bytes();
    return load_onnx(outer / "model/m.onnx", options);
  };
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  for (const auto& location : {"data.bin", "sub/data.bin", "./data.bin", "inner.bin"}) CHECK(load({{"location", location}}).ok());
  CHECK(load({{"location", "data.bin"}, {"checksum", "ccaa8d8dcc7d030cd6a6768db81f90d0ef976c3d"}}).ok());  // sha1sum's
  const std::vector<std::pair<Pairs, std::string>> refused = {
      {{{"location", "../secret.bin"}}, "leads out"},
      {{{"location", "sub/../../secret.bin"}}, "leads out"},
      {{{"location", (outer / "secret.bin").string()}}, "absolute"},
      {{{"location", "link.bin"}}, "link that leads out"},
      {{{"location", "up/secret.bin"}}, "link that leads out"},
      {{{"location", std::string("data.bin\0x", 10)}}, "zero byte"},
      {{{"location", "."}}, "leads out"},
      {{{"location", "sub"}}, "not a regular file"},
      {{{"offset", "0"}}, "no location"},
      {{{"location", ""}}, "no location"},
      {{{"location", "data.bin"}, {"offset", "1"}}, "too few"},
      {{{"location", "data.bin"}, {"offset", "18446744073709551615"}}, "too few"},
      {{{"location", "data.bin"}, {"offset", "-4"}}, "not a number"},
      {{{"location", "data.bin"}, {"offset", "99999999999999999999"}}, "not a number"},
      {{{"location", "data.bin"}, {"length", "7"}}, "has 7 bytes"},
      {{{"location", "data.bin"}, {"length", "x"}}, "not a number"},
      {{{"location", "data.bin"}, {"checksum", "00"}}, "SHA-1"},
  };
  for (const auto& [entries, words] : refused) check_refused(load(entries), "m.onnx: initializer t", words);
  check_refused(load({{"location", "absent.bin"}}), "initializer t", "put it beside the model", ErrorKind::io);
  CHECK(load({{"location", "data.bin"}}).ok());
  check_refused(load({{"location", "data.bin"}}, {.max_bytes = std::filesystem::file_size(outer / "model/m.onnx") + 7}), "initializer t", "cap", ErrorKind::out_of_memory);
  check_refused(parse_onnx(*read_file(outer / "model/m.onnx"), "memory", {}), "memory: initializer t", "not read from a file");
}

TEST_CASE("files that are no models") {
  ScratchFolder folder;
  const auto load = [&](const std::string& bytes) {
    std::ofstream(folder / "m.onnx", std::ios::binary) << bytes;
    return load_onnx(folder / "m.onnx");
  };
  check_refused(load(""), "m.onnx", "empty");
  check_refused(load("hello, this is no model"), "m.onnx", "not an ONNX model");
  check_refused(load("version https://git-lfs.github.com/spec/v1\n"), "m.onnx", "Git LFS");
  check_refused(load(std::string(1000, '\0')), "m.onnx", "not an ONNX model");
  check_refused(load_onnx(folder / "absent.onnx"), "absent.onnx", "cannot open", ErrorKind::io);
  check_refused(load_onnx(folder.path()), folder.path().string(), "directory", ErrorKind::io);
  std::string nested;  // a graph in an attribute of a node in a graph ..., deeper than any limit
  for (int i = 0; i < 3000; ++i) {
    const auto wrap = [&](int field) {
      std::string head(1, static_cast<char>(field << 3 | 2));
      for (std::size_t n = nested.size(); ; n >>= 7) {
        head += static_cast<char>((n & 127) | (n > 127 ? 128 : 0));
        if (n <= 127) break;
      }
      nested = head + nested;
    };
    wrap(6), wrap(5), wrap(1);
  }
  auto m = small_model();
  const std::string deep = m.bytes() + std::string("\x3a") + nested;
  CHECK_FALSE(load(deep).ok());
}

TEST_CASE("every truncation and many bit flips are an error or a graph, never a crash") {
  const std::string whole = small_model().bytes();
  int refused = 0;
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const auto g = parse_onnx(std::string_view(whole).substr(0, n), "m.onnx", {});
    if (!g.ok()) { ++refused; CHECK(g.error().text().find('\n') == std::string::npos); }
  }
  CHECK(refused > static_cast<int>(whole.size()) * 9 / 10);
  refused = 0;
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    const auto g = parse_onnx(flipped, "m.onnx", {});
    if (!g.ok()) { ++refused; CHECK(g.error().text().find('\n') == std::string::npos); }
  }
  CHECK(refused > static_cast<int>(whole.size()));
}

TEST_CASE("all shared models load") {
  const auto data = shared_data();
  if (!data) {
    WARN("skipped: the shared data folder is absent (set BOUNDLIGHT_SHARED)");
    return;
  }
  int models = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(*data / "models")) {
    if (entry.path().extension() != ".onnx") continue;
    const auto g = load_onnx(entry.path());
    INFO(entry.path() << (g.ok() ? "" : g.error().text()));
    REQUIRE(g.ok());
    CHECK(g->inputs.size() == 1);
    CHECK(g->outputs.size() == 1);
    CHECK_FALSE(g->nodes.empty());
    ++models;
  }
  CHECK(models >= 20);
}
