"""A local stand-in for a Bitrix24 portal, for developing, demonstrating and testing without a real one."""
