// Several images of one model: files, folders, whole arrays.
#pragma once

#include <string>
#include <vector>

#include "boundlight/apps/cli/inputs.hpp"

namespace boundlight::cli {

struct NamedImage {
  std::string name;    // "cat.png", "images.npz:images[3]"
  std::string folder;  // a file name for its results, unlike all others
  PreparedInput input;
};

// Every --input in turn: a file or array address (each entry of its first axis is an image), or a folder, whose PNG, JPEG and
// .npy files are taken in order of name. Errors: the file's; a folder without images; a model with several inputs.
Result<std::vector<NamedImage>> load_images(const Network& network, const InputArguments& a, const Output& output);

}  // namespace boundlight::cli
