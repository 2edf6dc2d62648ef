// SPDX-License-Identifier: Apache-2.0
// Gives the executor tests `sim`: host code that does what device code does, with variants for many
// places, so that lanes go on inside of functions all the time.
#include "base/check.hpp"
#include "codegen/device_compiler.hpp"
#include "exec/testing.hpp"
#include "exec/tile.hpp"
#include "ir/text.hpp"

namespace warphive::exec::testing {
namespace {

TileCode compile(const ir::Module& module, const ir::EncodedProgram& encoded,
                 const abi::TileShape& shape) {
  // Tests run one program several times in a row.
  static std::string last_program;
  static TileCode last;
  std::string program = std::to_string(shape.lanes) + ir::print(module);
  if (program == last_program) return last;
  codegen::DeviceOptions options;
  options.shape = shape;
  // On the wide layout lanes are interpreted at times.
  constexpr std::uint32_t few = 3;
  if (shape.lanes != exec::tile_shapes[0].lanes) {
    options.resumes_per_function = few;
    std::uint64_t size = 0;
    for (const ir::Function& function : module.functions) size += codegen::size_of(function);
    // Of large ones the end is left out, and called.
    constexpr std::uint64_t large = 500;
    if (size > large) options.limits.program_instructions = size / 4 * 3;
  }
  options.resume_instructions = ~std::uint64_t{0};
  const Result<codegen::HostObjects> objects = codegen::compile_sim(module, encoded, options);
  if (!objects) base::check_failed(objects.error().describe().c_str());
  Result<std::unique_ptr<codegen::NativeLibrary>> library =
      codegen::NativeLibrary::load(*objects, module);
  if (!library) base::check_failed(library.error().describe().c_str());
  const std::shared_ptr<codegen::NativeLibrary> owner = std::move(*library);
  last_program = std::move(program);
  return last = {owner, owner->code()};
}

[[maybe_unused]] const bool has_sim = (compile_tile = compile, true);

}  // namespace
}  // namespace warphive::exec::testing
