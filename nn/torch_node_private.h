/* For operations that bring their own backward. */
#ifndef VSL_NN_TORCH_NODE_PRIVATE_H
#define VSL_NN_TORCH_NODE_PRIVATE_H

#include <c10/util/intrusive_ptr.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <memory>
#include <type_traits>

namespace vsl
{

/* A node of the graph of gradients, in the pointer that this LibTorch keeps nodes by: std's, or in late 2.x its own.
 */
template <class N> auto new_node()
{
    using Held = decltype(torch::autograd::Edge::function);
    if constexpr (std::is_same_v<Held, std::shared_ptr<torch::autograd::Node>>) {
        return std::make_shared<N>();
    } else {
        return c10::make_intrusive<N>();
    }
}

} // namespace vsl

#endif
