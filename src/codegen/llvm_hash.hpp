// SPDX-License-Identifier: Apache-2.0
// LLVM's SHA-256.
#pragma once

#include <llvm/ADT/ArrayRef.h>
#include <llvm/ADT/StringRef.h>
#include <llvm/Support/SHA256.h>
