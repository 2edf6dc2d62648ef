// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target's entry point without libFuzzer. The command line has a number, then files or
// folders of them; each file is run, and so many mutations of it, the same in every run.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes mutate(Bytes bytes, std::mt19937& random) {
  const auto position = [&](std::size_t count) { return random() % count; };
  const std::size_t edits = 1 + random() % 4;
  for (std::size_t i = 0; i < edits; ++i) {
    switch (bytes.empty() ? 3u : random() % 5) {
      case 0:
        bytes[position(bytes.size())] = static_cast<std::uint8_t>(random());
        break;
      case 1:
        bytes[position(bytes.size())] ^= static_cast<std::uint8_t>(1u << (random() % 8));
        break;
      case 2:
        bytes.resize(position(bytes.size() + 1));
        break;
      case 3:
        bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(position(bytes.size() + 1)),
                     1 + random() % 4, static_cast<std::uint8_t>(random()));
        break;
      default: {
        const std::size_t from = position(bytes.size());
        const std::size_t count = std::min<std::size_t>(1 + random() % 8, bytes.size() - from);
        const auto first = bytes.begin() + static_cast<std::ptrdiff_t>(from);
        bytes.erase(first, first + static_cast<std::ptrdiff_t>(count));
      }
    }
  }
  return bytes;
}

std::vector<std::filesystem::path> inputs(int argc, char** argv) {
  std::vector<std::filesystem::path> files;
  for (int i = 2; i < argc; ++i) {
    if (std::filesystem::is_directory(argv[i])) {
      for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i])) {
        if (entry.is_regular_file()) files.push_back(entry.path());
      }
    } else if (std::filesystem::exists(argv[i])) {
      files.emplace_back(argv[i]);
    } else {
      std::fprintf(stderr, "No such file or folder (%s).\n", argv[i]);
      std::exit(1);
    }
  }
  std::ranges::sort(files);
  return files;
}

}  // namespace

int main(int argc, char** argv) {
  std::mt19937 random(1);  // the standard fixes its numbers
  std::size_t runs = 0;
  const int mutations_per_input = argc < 2 ? 0 : std::atoi(argv[1]);
  const std::vector<std::filesystem::path> files = inputs(argc, argv);
  for (const std::filesystem::path& file : files) {
    std::ifstream stream(file, std::ios::binary);
    const Bytes bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    ++runs;
    for (int i = 0; i < mutations_per_input; ++i) {
      // A copy on the heap of exactly its size, so that a sanitizer sees reads past the end.
      Bytes mutant = mutate(bytes, random);
      mutant.shrink_to_fit();
      LLVMFuzzerTestOneInput(mutant.data(), mutant.size());
      ++runs;
    }
  }
  std::printf("%zu inputs, %zu runs\n", files.size(), runs);
  return files.empty() ? 1 : 0;
}
