// Small files that declare huge contents: an error, and no memory that the bytes do not account for. A child process with a
// limited address space runs all of them and reports its peak.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>

#include "boundlight/models/array.hpp"
#include "boundlight/models/image.hpp"
#include "boundlight/models/onnx.hpp"
#include "support/onnx_build.hpp"

using namespace boundlight;
using namespace boundlight::test;

namespace {

constexpr long kMostMegabytes = 64;  // above what the process had; the files have 8 MB together

std::string four_bytes(std::uint32_t x) {
  return {static_cast<char>(x >> 24), static_cast<char>(x >> 16), static_cast<char>(x >> 8), static_cast<char>(x)};
}

std::string model_with(const onnx::TensorProto& t) {
  ModelBuilder m;
  m.initializer(t);
  m.output(t.name());
  return m.bytes();
}

// Every bomb is refused. Returns the name of one that is not, or "".
std::string run_bombs() {
  const auto model = [](const std::string& bytes) { return !parse_onnx(bytes, "m", {}).ok(); };
  for (const std::int64_t d : {std::int64_t{1} << 31, std::int64_t{1} << 40, std::int64_t{1} << 62}) {
    if (!model(model_with(raw_tensor("t", onnx::TensorProto::FLOAT, {d}, "abcd")))) return "raw tensor";
    auto typed = raw_tensor("t", onnx::TensorProto::DOUBLE, {d}, "");
    typed.clear_raw_data();
    typed.add_double_data(1);
    if (!model(model_with(typed))) return "typed tensor";
    auto external = raw_tensor("t", onnx::TensorProto::FLOAT, {d}, "");
    external.set_data_location(onnx::TensorProto::EXTERNAL);
    external.add_external_data()->set_key("location");
    external.mutable_external_data(0)->set_value("fuzz");
    if (!parse_onnx(model_with(external), "m", BL_SOURCE_DIR).ok()) continue;
    return "external tensor";
  }
  // 4 MB of empty nodes: 200 bytes each and more once they are messages.
  std::string nodes;
  for (int i = 0; i < 9'000'000 / 2; ++i) nodes += std::string("\x0a\x00", 2);
  std::string field = "\x3a";
  for (std::size_t n = nodes.size(); n > 0; n >>= 7) field += static_cast<char>((n & 127) | (n > 127 ? 128 : 0));
  if (!model("\x08\x08" + field + nodes)) return "empty nodes";

  const std::string head = std::string("\x89PNG\r\n\x1a\n") + four_bytes(13) + "IHDR";
  for (const std::uint32_t side : {5000U, 100000U, 0x7FFFFFFFU}) {
    std::string png = head + four_bytes(side) + four_bytes(side) + std::string("\x08\x06\0\0\0", 5);
    if (decode_image(png + std::string(100, '\0'), "i.png").ok()) return "png";
  }
  const std::string jpeg("\xff\xd8\xff\xc0\x00\x0b\x08\xff\xff\xff\xff\x01\x01\x11\x00", 15);
  if (decode_image(jpeg + std::string(100, '\0'), "i.jpg").ok()) return "jpeg";
  for (const char* shape : {"(1099511627776,)", "(1048576, 1048576)", "(2147483648,)", "(4294967296, 4294967296)"}) {
    const std::string text = std::string("{'descr': '<f8', 'fortran_order': True, 'shape': ") + shape + "}";
    std::string npy = std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(text.size()) + '\0' + text + "12345678";
    if (decode_npy(npy, "a.npy").ok()) return "npy";
  }
  return "";
}

}  // namespace

TEST_CASE("declared sizes take no memory") {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  WARN("skipped: a sanitizer's own memory hides what the readers take");
  CHECK(run_bombs().empty());
#else
  int pipe_ends[2];
  REQUIRE(::pipe(pipe_ends) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    rusage before{}, after{};
    ::getrusage(RUSAGE_SELF, &before);
    std::string verdict;
    try {
      verdict = run_bombs();
    } catch (const std::exception& e) {
      verdict = std::string("exception ") + e.what();
    }
    ::getrusage(RUSAGE_SELF, &after);
    const long grown = (after.ru_maxrss - before.ru_maxrss) / 1024;
    if (verdict.empty() && grown > kMostMegabytes) verdict = "peak grew by " + std::to_string(grown) + " MB";
    (void)!::write(pipe_ends[1], verdict.data(), verdict.size());
    ::_exit(verdict.empty() ? 0 : 1);
  }
  ::close(pipe_ends[1]);
  std::string verdict(200, '\0');
  const auto n = ::read(pipe_ends[0], verdict.data(), verdict.size());
  verdict.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  ::close(pipe_ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  INFO(verdict);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
#endif
}
