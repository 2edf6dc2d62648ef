// SPDX-License-Identifier: Apache-2.0
#include "opt/pipeline.hpp"

namespace warphive::opt {

void optimise(ir::Module&) {}

}  // namespace warphive::opt
