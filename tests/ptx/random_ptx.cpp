// SPDX-License-Identifier: Apache-2.0
// random_ptx FOLDER COUNT: writes the PTX of random programs, unit by unit, for check_ptx.py.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "codegen/device_compiler.hpp"
#include "ir/encode.hpp"
#include "ir/testing/random_module.hpp"
#include "opt/pipeline.hpp"

namespace {

using namespace warphive;  // NOLINT(google-build-using-namespace)

int write(const std::string& folder, std::uint64_t seed) {
  ir::testing::Choices choices(seed);
  ir::testing::RandomOptions random;
  random.host_calls = seed % 2 == 0;
  random.metered = seed % 5 != 0;
  random.vectors = false;  // they stay interpreted
  ir::Module module = ir::testing::random_module(choices, random);
  opt::optimise(module);
  const Result<ir::EncodedProgram> encoded = ir::encode(module);
  if (!encoded) return 1;
  codegen::DeviceOptions options;
  options.resumes_per_function = seed % 4 == 0 ? 2 : 0;
  const Result<codegen::PtxProgram> program = codegen::compile_ptx(module, *encoded, options);
  if (!program || !program->reasons.empty()) {
    std::fprintf(stderr, "seed %lu: %s\n", static_cast<unsigned long>(seed),
                 program ? program->reasons[0].c_str() : program.error().describe().c_str());
    return 1;
  }
  for (std::size_t i = 0; i < program->units.size(); ++i) {
    std::ofstream(folder + "/random" + std::to_string(seed) + "." + std::to_string(i) + ".ptx")
        << program->units[i];
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  int failed = 0;
  const std::uint64_t count = std::strtoull(argv[2], nullptr, 10);
  for (std::uint64_t seed = 0; seed < count; ++seed) failed += write(argv[1], seed);
  return failed == 0 ? 0 : 1;
}
