/* The two collectives that data parallel training needs, whichever library does them. */
#ifndef VSL_NN_GROUP_PRIVATE_H
#define VSL_NN_GROUP_PRIVATE_H

#include "nn/torch_private.h"

#include <torch/csrc/distributed/c10d/Store.hpp>
#include <torch/csrc/distributed/c10d/Types.hpp>

#include <chrono>
#include <functional>
#include <vector>

namespace vsl
{

struct Collectives {
    std::function<void(at::Tensor &)> sum;        /* over all ranks, in place */
    std::function<void(at::Tensor &, int)> share; /* of a root */
};

struct Meeting {
    c10::intrusive_ptr<c10d::Store> store;
    int rank, size;
    std::chrono::milliseconds timeout;
    std::string interface;
};

/* group_gloo.cpp or group_gloo_none.cpp; group_nccl.cpp or group_nccl_none.cpp */
Collectives gloo(const Meeting &m);
Collectives nccl(const Meeting &m, at::Device device);

/* Of a c10d process group, whose class changed its base between LibTorch 1 and 2 but not these methods. */
template <class Group> Collectives collectives(c10::intrusive_ptr<Group> group)
{
    return {[group](at::Tensor &t) {
                std::vector<at::Tensor> list = {t};
                group->allreduce(list)->wait();
            },
            [group](at::Tensor &t, int root) {
                std::vector<at::Tensor> list = {t};
                c10d::BroadcastOptions options;
                options.rootRank = root;
                group->broadcast(list, options)->wait();
            }};
}

} // namespace vsl

#endif
