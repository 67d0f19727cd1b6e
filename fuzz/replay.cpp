// A plain main for the fuzzing targets, so that the kept inputs run in every build and under every sanitizer:
//   replay FOLDER [CHANGES]
// runs every file of the folder and, for each, CHANGES seeded random changes of it (flipped bits, changed bytes, cuts,
// repeated and moved pieces). A failure ends the process; what ran last is named on standard error.
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

std::string running;  // for the message of a failure

void tell(int) {
  std::fprintf(stderr, "while running %s\n", running.c_str());
  std::_Exit(1);
}

void run(const std::string& bytes) { LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()); }

std::string changed(std::string bytes, std::mt19937_64& random) {
  const auto below = [&](std::size_t n) { return n == 0 ? 0 : static_cast<std::size_t>(random() % n); };
  for (std::size_t steps = 1 + below(4); steps > 0 && !bytes.empty(); --steps) {
    const std::size_t at = below(bytes.size());
    const std::size_t length = std::min(bytes.size() - at, 1 + below(16));
    switch (below(6)) {
      case 0: bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8))); break;
      case 1: bytes[at] = static_cast<char>(random()); break;
      case 2: bytes.resize(at); break;
      case 3: bytes.insert(at, bytes.substr(below(bytes.size()), length)); break;
      case 4: bytes.erase(at, length); break;
      default: bytes.replace(at, length, length, static_cast<char>(below(2) == 0 ? 0 : 255)); break;
    }
  }
  return bytes;
}

}  // namespace

int main(int count, char** words) {
  if (count < 2) {
    std::fprintf(stderr, "usage: replay FOLDER [CHANGES]\n");
    return 2;
  }
  const int changes = count > 2 ? std::atoi(words[2]) : 0;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(words[1])) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::signal(SIGABRT, tell);
#ifndef __SANITIZE_ADDRESS__  // which tells more
  std::signal(SIGSEGV, tell);
#endif
  for (const auto& file : files) {
    running = file.string();
    std::ifstream stream(file, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(stream)), {});
    run(bytes);
    std::mt19937_64 random(2026);
    for (int i = 0; i < changes; ++i) {
      running = file.string() + ", change " + std::to_string(i);
      run(changed(bytes, random));
    }
  }
  std::printf("%zu inputs, %d changes each\n", files.size(), changes);
  return files.empty() ? 1 : 0;
}
