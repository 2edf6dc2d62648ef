// SPDX-License-Identifier: Apache-2.0
#include "opt/pipeline.hpp"

#include "opt/passes.hpp"

namespace warphive::opt {

void optimise(ir::Module& module) {
  const ModuleFacts facts(module);
  Copies copies;
  Liveness liveness(facts);
  Scratch scratch;
  for (ir::Function& function : module.functions) {
    if (function.code.empty()) continue;
    propagate_copies(copies, function);
    remove_dead_values(liveness, scratch, function);
  }
}

}  // namespace warphive::opt
