/* NCCL: collectives between CUDA devices. */
#include "nn/group_private.h"

#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

namespace vsl
{

Collectives nccl(const Meeting &m, at::Device)
{
    auto options = c10d::ProcessGroupNCCL::Options::create();
    options->timeout = m.timeout;
    return collectives(c10::make_intrusive<c10d::ProcessGroupNCCL>(m.store, m.rank, m.size, options));
}

} // namespace vsl
