// SPDX-License-Identifier: Apache-2.0
// Precompiled for the tests.
#pragma once

#include <gtest/gtest.h>

#include "core.hpp"
