// The state of a search that ended early, in a file: what is closed, the trees so far, the open regions. A checksum guards against
// damage; like the program itself the file is trusted, evidence is the certificate. A file of another version is refused: what a neuron is called
// and which boxes the root has may have changed with the program.
#pragma once

#include <filesystem>
#include <optional>

#include "boundlight/solver/bab/search.hpp"

namespace boundlight::bab {

struct State {
  std::string subject;      // model, property, semantics, how it is split, certificate or not: must be equal to go on
  std::vector<std::vector<bool>> open;
  std::vector<SearchTree> trees;
  std::vector<std::vector<SearchTree>> own;
  std::vector<std::vector<std::vector<double>>> lambda;
  std::string certificate;                  // its names and bounds so far
  std::uint64_t group = 0;                  // the one being searched
  std::string regions;                      // its open regions, as its search packs them
  std::int64_t domains = 0, leaves = 0, splits = 0, clips = 0, deepest = 0;
  double seconds = 0;                       // spent so far
};

// SHA-256 of everything that a network computes with: the model file's hash says nothing about sizes and inputs that were fixed when it
// was prepared, and a network built in memory has none.
std::string identity_of(const Network& network);

Result<void> save_state(const std::filesystem::path& path, const State& state);

// Nothing when there is no such file. Errors: damage, another subject.
Result<std::optional<State>> load_state(const std::filesystem::path& path, const std::string& subject);

}  // namespace boundlight::bab
